//! How many files, sockets among them, the process may have open.
//!
//! Systems start processes with a low limit (often 1024) below a high one
//! that the process may claim itself. Without it a flood of connections would
//! leave no file for the queue and the database, and the queue exits on any
//! I/O error. So connections never get all of it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For everything but public connections: queue, database, admin listener, log.
const RESERVED: u64 = 256;

/// Raises the limit for `connections_max`; returns how many connections it leaves room for.
pub(crate) fn room_for(connections_max: usize) -> usize {
    let wanted = connections_max as u64 + RESERVED;
    let limit = getrlimit(Resource::Nofile);
    // `None` is no limit.
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return connections_max };
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let result = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    let granted = if result.is_ok() { raised } else { current };
    let room = room_within(granted, connections_max);
    if room < connections_max {
        tracing::warn!(
            "connections-max is lowered from {connections_max} to {room}: the system allows {granted} open files; \
             raise that limit (`ulimit -n`, LimitNOFILE of systemd)"
        );
    }
    room
}

fn room_within(open_files_max: u64, connections_max: usize) -> usize {
    let room = open_files_max.saturating_sub(RESERVED).max(open_files_max / 2).max(1);
    usize::try_from(room).map_or(connections_max, |room| room.min(connections_max))
}

#[cfg(test)]
mod tests {
    use super::room_within;

    #[test]
    fn connections_never_get_every_file() {
        for (open_files_max, room) in [(1_000_000, 10_000), (10_256, 10_000), (1024, 768), (300, 150), (1, 1)]
        {
            assert_eq!(room_within(open_files_max, 10_000), room);
        }
    }
}
