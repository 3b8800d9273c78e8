// @generated automatically by Diesel CLI.

diesel::table! {
    ended_sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_digest -> Bytea,
        ip_address -> Inet,
        user_agent -> Nullable<Text>,
        last_activity -> Timestamptz,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        ended_at -> Timestamptz,
        reason -> Text,
    }
}

diesel::table! {
    login_failures (email_digest) {
        email_digest -> Bytea,
        failed_attempts -> Int4,
        locked_until -> Nullable<Timestamptz>,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_digest -> Bytea,
        ip_address -> Inet,
        user_agent -> Nullable<Text>,
        last_activity -> Timestamptz,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        name -> Text,
        email -> Text,
        password_hash -> Nullable<Text>,
        email_verified -> Bool,
        role -> Text,
        disabled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(sessions -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(ended_sessions, login_failures, sessions, users,);
