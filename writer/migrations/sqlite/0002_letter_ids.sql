-- Whoever removes a letter names it by its id: no other letter ever gets that id.
create table dead_letter_with_lasting_ids (
    id integer primary key autoincrement,
    bytes blob not null,
    reason text not null,
    sqlstate text,
    frame_id char(32),
    position integer not null,
    first_seen text not null
);
insert into dead_letter_with_lasting_ids (id, bytes, reason, sqlstate, frame_id, position, first_seen)
    select id, bytes, reason, sqlstate, frame_id, position, first_seen from dead_letter;
drop table dead_letter;
alter table dead_letter_with_lasting_ids rename to dead_letter;
create unique index dead_letter_origin on dead_letter (frame_id, position) where frame_id is not null;
create unique index dead_letter_bytes on dead_letter (bytes) where frame_id is null;
