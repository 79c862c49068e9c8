create table activity (
    id uuid not null,
    date timestamptz not null,
    received_at timestamptz not null,
    session_id text,
    user_id text,
    ip_address text,
    path text not null,
    referer text not null,
    primary key (date, id)
) partition by range (date);
create index activity_session_id on activity (session_id);
create index activity_user_id on activity (user_id) where user_id is not null;
-- Only wild dates: the writer makes the months.
create table activity_default partition of activity default;

create table session_info (
    session_id text primary key,
    user_agent text not null,
    first_seen timestamptz not null
);

create table dead_letter (
    id bigint generated always as identity primary key,
    bytes bytea not null,
    reason text not null,
    sqlstate text,
    frame_id uuid,
    position bigint not null,
    first_seen timestamptz not null
);
-- A redelivered frame brings the same letters again; each is kept once.
create unique index dead_letter_origin on dead_letter (frame_id, position) where frame_id is not null;
create unique index dead_letter_bytes on dead_letter (sha256(bytes)) where frame_id is null;

create table accounting (
    writer_id text primary key,
    delivered bigint not null,
    stored bigint not null,
    duplicate bigint not null,
    dead bigint not null,
    suppressed bigint not null,
    updated_at timestamptz not null
);
