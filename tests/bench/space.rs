//! What an activity takes on disk: in JetStream and in Postgres.

use chrono::{DateTime, Utc};
use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::Djaffar;
use shared::event::{Activity, PagePath, UserId};
use sqlx::{Connection as _, PgConnection};

use crate::activities::activity;
use crate::backlog::{Backlog, FRAME_ACTIVITIES, Servers, drain};
use crate::copy::tuned_postgres;
use crate::effort;
use crate::report::{Report, Target};

const ROWS: u32 = 300_000;
/// Every so manieth activity is that of a user.
const USERS_EVERY: u32 = 4;
const TARGET: Target = Target::AtMost(250.0);

const HEAP: &str = "select sum(pg_table_size(relid))::bigint from pg_partition_tree('activity') where isleaf";
const INDEXES: &str = "\
select parent.relname::text, sum(pg_relation_size(tree.relid))::bigint
from pg_index join pg_class parent on parent.oid = indexrelid, lateral pg_partition_tree(indexrelid) tree
where indrelid = 'activity'::regclass and tree.isleaf
group by 1 order by 2 desc";

/// Path and referer have a mean of 80 bytes together: a path without its host, as Django knows it.
fn brief(number: u32, start: DateTime<Utc>) -> Activity {
    let activity = activity(number, start);
    let path = activity.path.as_str().trim_start_matches("https://shop.example.com").to_owned();
    let user = number.is_multiple_of(USERS_EVERY).then(|| UserId::new(format!("{}", number % 10_000)));
    Activity {
        path: PagePath::new(path).expect("a path"),
        user_id: user.map(|user| user.expect("a user id")),
        ..activity
    }
}

pub(crate) async fn run(report: &mut Report) {
    let backlog = Backlog { rows: effort::rows(ROWS), make: brief };
    report.heading("Space");
    report.table(&["", "bytes an activity", "target"]);
    let (postgres, url) = tuned_postgres().await;
    let nats = NatsServer::running().await;
    let queued = backlog.preload_jetstream(&nats).await;
    let mut row = |name: &str, bytes: u64, target: &str| {
        let each = bytes as f64 / f64::from(backlog.rows);
        report.row([name, &format!("{each:.0}"), target]);
    };
    row(&format!("JetStream, in frames of {FRAME_ACTIVITIES}"), queued, "-");
    let mut writer = Djaffar::writer(&nats.url(), &url);
    let database = Database::Postgres(postgres.first_database());
    drain(std::slice::from_mut(&mut writer), &database, Servers::default(), backlog.rows).await;
    let mut connection = PgConnection::connect(&url).await.expect("the server can be reached");
    let (heap,): (i64,) = sqlx::query_as(HEAP).fetch_one(&mut connection).await.expect("sizes");
    let indexes: Vec<(String, i64)> =
        sqlx::query_as(INDEXES).fetch_all(&mut connection).await.expect("sizes");
    row("Postgres, heap", heap.unsigned_abs(), "-");
    for (name, bytes) in &indexes {
        row(&format!("Postgres, index `{name}`"), bytes.unsigned_abs(), "-");
    }
    let all = heap + indexes.iter().map(|(_, bytes)| bytes).sum::<i64>();
    let each = all as f64 / f64::from(backlog.rows);
    let target = report.judge("bytes a row of Postgres takes with its indexes", each, "", TARGET);
    report.row(["Postgres, all of it", &format!("{each:.0}"), &target]);
    let text = mean_text(backlog);
    report.line("");
    report.line(format!(
        "{} rows; path and referer have {text:.0} bytes together (mean), every {USERS_EVERY}th activity a user id. \
         16,000 sessions.",
        backlog.rows
    ));
}

/// Bytes of path and referer together.
fn mean_text(backlog: Backlog) -> f64 {
    let bytes = |activity: &Activity| activity.path.as_str().len() + activity.referer.as_str().len();
    let bytes: usize = backlog.groups(FRAME_ACTIVITIES).flatten().map(|activity| bytes(&activity)).sum();
    bytes as f64 / f64::from(backlog.rows)
}
