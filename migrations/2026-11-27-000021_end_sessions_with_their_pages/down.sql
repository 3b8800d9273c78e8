alter table sessions
    drop column ends_with_page,
    drop column page_stream,
    drop column page_lost_at,
    drop column page_heard_at;
