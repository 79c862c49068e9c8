-- One row: what erasing and pruning share with every writer.
create table keeping (
    id smallint primary key default 1 check (id = 1),
    -- Key of the digests in suppression.
    salt bytea not null,
    -- Counts changes of suppression: writers read it again when this differs.
    suppression_version bigint not null default 0,
    -- Counts removals from session_info: writers forget then which infos are stored.
    info_version bigint not null default 0,
    -- No month before this is made again.
    pruned_before timestamptz,
    pruned_at timestamptz
);
insert into keeping (salt) values (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- Whose activities, received until then, are not stored, or only without saying whose.
create table suppression (
    kind text not null check (kind in ('user', 'session', 'ip')),
    mode text not null check (mode in ('erase', 'anonymise')),
    -- HMAC-SHA256 of the value under keeping.salt.
    digest bytea not null,
    received_until timestamptz not null,
    primary key (kind, mode, digest)
);
