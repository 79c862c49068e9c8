//! Prunes a Postgres database beside running writers.
//!
//! A month that is older as a whole is detached, which takes the writers' lock
//! for some milliseconds, and then dropped where nobody looks any more. Killed
//! in between, it is dropped by whoever prunes or erases next.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::store::StoreError;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::error::{Failure, within};
use super::infos::{self, Remover};
use super::locks::{self, Patience};
use super::{PostgresConfig, connect, parse_or_refuse, partitions, schema};
use crate::export::POSTGRES_NO_SUCH_TABLE;
use crate::prune::{PruneMode, PruneReport, Pruned, Pruning, suppression_limit};
use crate::store::month::Month;

/// Before anything is dropped: the month keeper must not make a month again.
const BEGUN: &str = "UPDATE keeping SET pruned_before = greatest(pruned_before, $1)";
const DONE: &str = "UPDATE keeping SET pruned_at = $1";
const PRUNED: &str = "SELECT pruned_before, pruned_at FROM keeping";
const DETACHED: &str = "\
SELECT relname::text FROM pg_class WHERE relname ~ '^activity_pruned_[0-9]{4}_[0-9]{2}$'
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'activity'::regclass)";
const OLD_SUPPRESSIONS: &str = "DELETE FROM suppression WHERE received_until < $1";
const COUNT_OLD_SUPPRESSIONS: &str = "SELECT count(*) FROM suppression WHERE received_until < $1";
const OLD_LETTERS: &str = "SELECT count(*) FROM dead_letter WHERE first_seen < $1";
const OLD_INFOS: &str = "\
SELECT count(*) FROM session_info LEFT JOIN LATERAL (
    SELECT true AS is_used FROM activity WHERE activity.session_id = session_info.session_id AND date >= $1
        AND (activity.tableoid <> 'activity_default'::regclass OR received_at >= $1) LIMIT 1
) AS found ON true
WHERE first_seen < $1 AND is_used IS NULL";

const CHUNK_ROWS: u32 = 5000;
/// Of one statement: the rows of a month are counted.
const DEADLINE: Duration = Duration::from_secs(600);
/// A reader that holds a month for longer: its rows are deleted one by one instead.
const LOCK_BUDGET: Duration = Duration::from_secs(20);

/// `None` while another pruning runs.
///
/// # Errors
/// The database fails or is of another schema. What is done stays done; another run goes on.
pub async fn prune(config: &PostgresConfig, pruning: &Pruning) -> Result<Option<PruneReport>, StoreError> {
    let mut connection = open(config).await?;
    Ok(run(&mut connection, pruning).await?)
}

/// Whether a retention of that length asks for a pruning now.
///
/// # Errors
/// The database fails or is of another schema.
pub async fn is_due(
    config: &PostgresConfig,
    now: DateTime<Utc>,
    retention: Duration,
) -> Result<bool, StoreError> {
    let mut connection = open(config).await?;
    let pruned = within(config.attempt_timeout, pruned(&mut connection)).await?;
    Ok(pruned.is_due(now, retention))
}

async fn open(config: &PostgresConfig) -> Result<PgConnection, StoreError> {
    let options = parse_or_refuse(config)?.application_name("djaffar prune");
    let mut connection = within(config.attempt_timeout, connect::connect(&options)).await?;
    within(config.attempt_timeout, schema::require(&mut connection)).await?;
    Ok(connection)
}

pub(super) async fn pruned(connection: &mut PgConnection) -> Result<Pruned, Failure> {
    let (before, at) = sqlx::query_as(PRUNED).fetch_one(connection).await?;
    Ok(Pruned { before, at })
}

async fn run(connection: &mut PgConnection, pruning: &Pruning) -> Result<Option<PruneReport>, Failure> {
    let Pruning { before, mode } = *pruning;
    let alone: bool =
        within(DEADLINE, sqlx::query_scalar(locks::TRY_PRUNE).fetch_one(&mut *connection)).await?;
    if !alone {
        return Ok(None);
    }
    let mut report = match mode {
        PruneMode::Prune => remove(connection, before).await?,
        PruneMode::Count => count(connection, before).await?,
    };
    let letters: i64 = within(DEADLINE, scalar(connection, OLD_LETTERS, before)).await?;
    report.dead_letters_kept = letters.cast_unsigned();
    // The next may begin before the server has noticed that this connection is gone.
    within(DEADLINE, sqlx::raw_sql(locks::END_PRUNE).execute(connection)).await?;
    Ok(Some(report))
}

async fn remove(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<PruneReport, Failure> {
    let mut report = PruneReport::default();
    let now = shared::time::now();
    within(DEADLINE, sqlx::query(BEGUN).bind(before).execute(&mut *connection)).await?;
    drop_detached(connection, DEADLINE).await?;
    partitions::carry_strays(connection, DEADLINE).await?;
    for table in within(DEADLINE, partitions::all(connection)).await? {
        let whole = Month::of_partition(&table).is_some_and(|month| month.ends_by(before));
        if whole && let Some(rows) = drop_month(connection, &table).await? {
            report.months.push((table, rows));
        } else {
            report.activities += delete_rows(connection, &table, before).await?;
        }
    }
    report.session_infos = remove_infos(connection, before).await?;
    let limit = suppression_limit(before, now);
    let old = sqlx::query(OLD_SUPPRESSIONS).bind(limit).execute(&mut *connection);
    report.suppressions = within(DEADLINE, old).await?.rows_affected();
    within(DEADLINE, sqlx::query(DONE).bind(now).execute(&mut *connection)).await?;
    Ok(report)
}

async fn count(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<PruneReport, Failure> {
    let mut report = PruneReport::default();
    for table in within(DEADLINE, partitions::all(connection)).await? {
        let whole = Month::of_partition(&table).is_some_and(|month| month.ends_by(before));
        let statement = format!("SELECT count(*) FROM \"{table}\" WHERE {}", is_old(&table));
        let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(statement)).bind(before).persistent(false);
        let rows = within(DEADLINE, query.fetch_one(&mut *connection)).await?.cast_unsigned();
        match whole {
            true => report.months.push((table, rows)),
            false => report.activities += rows,
        }
    }
    let infos: i64 = within(DEADLINE, scalar(connection, OLD_INFOS, before)).await?;
    let limit = suppression_limit(before, shared::time::now());
    let suppressions: i64 = within(DEADLINE, scalar(connection, COUNT_OLD_SUPPRESSIONS, limit)).await?;
    (report.session_infos, report.suppressions) = (infos.cast_unsigned(), suppressions.cast_unsigned());
    Ok(report)
}

async fn scalar(
    connection: &mut PgConnection,
    statement: &'static str,
    limit: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(statement).bind(limit).fetch_one(connection).await
}

/// `$1` is the limit.
fn is_old(table: &str) -> &'static str {
    if table == partitions::DEFAULT { "least(date, received_at) < $1" } else { "date < $1" }
}

/// Its rows; `None` if somebody holds it for too long.
async fn drop_month(connection: &mut PgConnection, table: &str) -> Result<Option<u64>, Failure> {
    let detached = table.replacen("activity_", "activity_pruned_", 1);
    let mut patience = Patience::of(LOCK_BUDGET);
    loop {
        match within(DEADLINE, detach_once(connection, table, &detached, &patience)).await {
            Ok(()) => break,
            Err(failure) if patience.tries_again_after(&failure).await => {}
            Err(failure) if failure.sqlstate().is_some_and(|code| locks::LOCKED.contains(&&*code)) => {
                tracing::warn!(table, "a long transaction keeps a month; its rows are deleted one by one");
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Some(within(DEADLINE, drop_table(connection, &detached)).await?))
}

async fn detach_once(
    connection: &mut PgConnection,
    table: &str,
    detached: &str,
    patience: &Patience,
) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(patience.statement())).execute(&mut *transaction).await?;
    sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
    let statements = format!(
        "ALTER TABLE activity DETACH PARTITION \"{table}\"; ALTER TABLE \"{table}\" RENAME TO \"{detached}\""
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Drops what a pruning has detached and not dropped.
pub(super) async fn drop_detached(connection: &mut PgConnection, deadline: Duration) -> Result<(), Failure> {
    let tables: Vec<String> =
        within(deadline, sqlx::query_scalar(DETACHED).fetch_all(&mut *connection)).await?;
    for table in tables {
        within(deadline, drop_table(connection, &table)).await?;
    }
    Ok(())
}

/// Returns how many rows it had; 0 when somebody else has dropped it.
async fn drop_table(connection: &mut PgConnection, table: &str) -> Result<u64, Failure> {
    // Nobody adds rows any more; under the lock others would wait for the count.
    let count = format!("SELECT count(*) FROM \"{table}\"");
    let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).persistent(false);
    let rows = match query.fetch_one(&mut *connection).await.map_err(Failure::from) {
        Err(failure) if failure.sqlstate().as_deref() == Some(POSTGRES_NO_SUCH_TABLE) => return Ok(0),
        rows => rows?,
    };
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
    if !partitions::exists(&mut transaction, table).await? {
        return Ok(0);
    }
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE \"{table}\""))).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(rows.cast_unsigned())
}

async fn delete_rows(
    connection: &mut PgConnection,
    table: &str,
    before: DateTime<Utc>,
) -> Result<u64, Failure> {
    let statement = format!(
        "DELETE FROM \"{table}\" WHERE ctid = ANY(ARRAY(SELECT ctid FROM \"{table}\" WHERE {} LIMIT {CHUNK_ROWS}))",
        is_old(table)
    );
    let mut deleted = 0;
    loop {
        let once = async {
            let mut transaction = connection.begin().await?;
            sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
            if !partitions::exists(&mut transaction, table).await? {
                return Ok(0);
            }
            let query = sqlx::query(AssertSqlSafe(statement.clone())).bind(before).persistent(false);
            let rows = query.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok::<_, Failure>(rows)
        };
        let rows = within(DEADLINE, once).await?;
        deleted += rows;
        if rows < u64::from(CHUNK_ROWS) {
            return Ok(deleted);
        }
    }
}

async fn remove_infos(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, Failure> {
    let mut remover = Remover::new(DEADLINE);
    let (mut removed, mut after) = (0, String::new());
    loop {
        let page = within(DEADLINE, infos::unused_page(connection, &after, before)).await?;
        let (Some(last), unused) = page else { return Ok(removed) };
        removed += remover.remove(connection, &unused).await?;
        after = last;
    }
}
