//! The Django app's own tests: on the oldest and the newest Django, over tables that Djaffar makes in
//! SQLite and Postgres, with users of each kind of key.

use std::process::Command;

use djaffar_tests::postgres::Postgres;
use djaffar_tests::{binary, workspace};

use crate::beside::Database;
use crate::shop::Age;

const ALL: [&str; 0] = [];
/// Those in which the key of users matters.
const OF_USERS: [&str; 4] =
    ["tests.test_models", "tests.test_admin", "tests.test_indexes", "tests.test_fixtures"];

async fn run(age: Age, database: Database, users: &str, tests: &[&str]) {
    let mut command = Command::new(age.python());
    command
        .args(["-W", "ignore", "-m", "django", "test", "--settings=tests.settings", "--noinput"])
        .args(tests)
        .current_dir(workspace().join("django"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("BINARY_UNDER_TEST", binary("djaffar"))
        .env("TEST_USERS", users);
    let server = match database {
        Database::Sqlite => None,
        Database::Postgres => Some(Postgres::shared().await),
    };
    if let Some(server) = &server {
        // Django makes its own beside it, with a name that follows from this one's.
        command.env("TEST_DATABASE", server.database().await);
    }
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic")
        .expect("Python is there: run tests/setup");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    // It says how many ran.
    assert!(printed.contains("\nRan ") && !printed.contains("\nRan 0 "), "{printed}");
}

macro_rules! apps {
    ($($name:ident: $age:ident, $database:ident, $users:literal, $tests:ident;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                run(Age::$age, Database::$database, $users, &$tests).await;
            }
        )+
    };
}

apps! {
    the_app_passes_its_tests_on_the_newest_django: Newest, Sqlite, "int", ALL;
    the_app_passes_its_tests_on_the_oldest_django: Oldest, Sqlite, "int", ALL;
    the_app_passes_its_tests_on_the_newest_django_with_postgres: Newest, Postgres, "int", ALL;
    the_app_passes_its_tests_on_the_oldest_django_with_postgres: Oldest, Postgres, "int", ALL;
    users_with_uuids_in_sqlite: Newest, Sqlite, "uuid", OF_USERS;
    users_with_uuids_in_postgres: Newest, Postgres, "uuid", OF_USERS;
    users_with_texts_in_sqlite: Newest, Sqlite, "text", OF_USERS;
    users_with_texts_in_postgres: Newest, Postgres, "text", OF_USERS;
}
