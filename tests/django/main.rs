//! Djaffar beside the real Django: users, sessions and tokens are made by Django itself, and its
//! ORM says whose each stored row is.

mod app;
mod ask;
mod beside;
mod csrf;
mod json_web_tokens;
mod outage;
mod relay;
mod rotation;
mod sessions;
mod shop;
mod tokens;

/// Each case as a test of its own on the newest and the oldest Django, with SQLite and Postgres.
macro_rules! on_every_django {
    ($($case:ident),+ $(,)?) => {
        on_every_django!(@module newest_sqlite, Newest, Sqlite, $($case),+);
        on_every_django!(@module newest_postgres, Newest, Postgres, $($case),+);
        on_every_django!(@module oldest_sqlite, Oldest, Sqlite, $($case),+);
        on_every_django!(@module oldest_postgres, Oldest, Postgres, $($case),+);
    };
    (@module $name:ident, $age:ident, $database:ident, $($case:ident),+) => {
        mod $name {
            use $crate::beside::{Beside, Database};
            use $crate::shop::Age;
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&*Beside::shared(Age::$age, Database::$database).await).await;
                }
            )+
        }
    };
}
pub(crate) use on_every_django;
