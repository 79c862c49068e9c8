//! Real processes from the browser's request to the row.
