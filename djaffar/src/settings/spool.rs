//! Where ingest keeps frames while NATS is away.

use clap::Args;
use shared::queue::embedded::BYTES_MAX_LEAST;

use super::size::Size;
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Queue")]
pub(crate) struct SpoolSettings {
    /// Bytes in the data directory of an ingest for frames that NATS cannot take now; 0 turns the spool off
    #[arg(long, value_name = "SIZE", default_value = "0")]
    spool_max: Size,
}

impl SpoolSettings {
    /// `None`: no spool.
    pub(crate) fn bytes_max(&self) -> Result<Option<u64>, Failure> {
        match self.spool_max.0 {
            0 => Ok(None),
            bytes if bytes < BYTES_MAX_LEAST => Err(Failure::misconfigured(format!(
                "spool-max is {}, which holds no frame safely; set it to {} or more, or to 0 for no spool",
                self.spool_max,
                Size(BYTES_MAX_LEAST)
            ))),
            bytes => Ok(Some(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_off_or_large_enough() {
        let bytes_max = |bytes| SpoolSettings { spool_max: Size(bytes) }.bytes_max();
        assert_eq!(bytes_max(0).unwrap(), None);
        assert_eq!(bytes_max(1 << 30).unwrap(), Some(1 << 30));
        assert!(bytes_max(1024).unwrap_err().to_string().contains("spool-max is 1KiB"));
    }
}
