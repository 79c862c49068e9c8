-- Datetimes as Django's ORM writes them: 'YYYY-MM-DD HH:MM:SS[.ffffff]', UTC.
create table activity (
    id char(32) not null,
    date text not null,
    received_at text not null,
    session_id text,
    user_id text,
    ip_address text,
    path text not null,
    referer text not null,
    primary key (date, id)
) without rowid;
create index activity_session_id on activity (session_id);
create index activity_user_id on activity (user_id) where user_id is not null;

create table session_info (
    session_id text primary key not null,
    user_agent text not null,
    first_seen text not null
) without rowid;

create table dead_letter (
    id integer primary key,
    bytes blob not null,
    reason text not null,
    sqlstate text,
    frame_id char(32),
    position integer not null,
    first_seen text not null
);
-- A redelivered frame brings the same letters again; each is kept once.
create unique index dead_letter_origin on dead_letter (frame_id, position) where frame_id is not null;
create unique index dead_letter_bytes on dead_letter (bytes) where frame_id is null;

create table accounting (
    writer_id text primary key not null,
    delivered integer not null,
    stored integer not null,
    duplicate integer not null,
    dead integer not null,
    suppressed integer not null,
    updated_at text not null
) without rowid;
