create index sessions_last_activity_idx on sessions (last_activity desc, id desc);
drop index sessions_created_at_idx;
alter table ended_sessions drop column folded_origin;
alter table sessions drop column folded_origin;
