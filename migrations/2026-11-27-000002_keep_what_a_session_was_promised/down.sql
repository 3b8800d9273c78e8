alter table sessions
    drop column idle_timeout,
    drop column ends_at;
