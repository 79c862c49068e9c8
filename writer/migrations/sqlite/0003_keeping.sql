-- One row: what erasing and pruning share with the writer.
create table keeping (
    id integer primary key default 1 check (id = 1),
    -- Key of the digests in suppression.
    salt blob not null,
    -- Counts changes of suppression: the writer reads it again when this differs.
    suppression_version integer not null default 0,
    -- Counts removals from session_info: the writer forgets then which infos are stored.
    info_version integer not null default 0,
    pruned_before text,
    pruned_at text
);
insert into keeping (salt) values (randomblob(32));

-- Whose activities, received until then, are not stored, or only without saying whose.
create table suppression (
    kind text not null check (kind in ('user', 'session', 'ip')),
    mode text not null check (mode in ('erase', 'anonymise')),
    -- HMAC-SHA256 of the value under keeping.salt.
    digest blob not null,
    received_until text not null,
    primary key (kind, mode, digest)
) without rowid;
