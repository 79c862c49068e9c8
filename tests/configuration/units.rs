//! The units of `deploy/systemd`, as systemd itself reads them.

use std::fs;
use std::process::Command;

use djaffar_tests::{binary, workspace};

const INSTALLED: &str = "/usr/local/bin/djaffar";
/// systemd's own measure, times ten; unconfined is near 96.
const EXPOSURE_MAX: &str = "20";

#[test]
fn systemd_finds_the_units_right_and_confined() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: systemd-analyze is not there, so the units were not checked");
    }
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut count = 0;
    for entry in fs::read_dir(workspace().join("deploy/systemd")).expect("the units are there") {
        let path = entry.expect("an entry").path();
        let unit = fs::read_to_string(&path).expect("a unit can be read");
        assert!(unit.contains(&format!("ExecStart={INSTALLED} ")), "{}", path.display());
        let copy = directory.path().join(path.file_name().expect("a file has a name"));
        let program = binary("djaffar").display().to_string();
        fs::write(&copy, unit.replace(&format!("ExecStart={INSTALLED}"), &format!("ExecStart={program}")))
            .expect("a file can be written");
        for arguments in [
            &["verify"][..],
            &["security", "--offline=yes", "--no-pager", &format!("--threshold={EXPOSURE_MAX}")],
        ] {
            let output = Command::new("systemd-analyze").args(arguments).arg(&copy).output();
            let output = output.expect("it starts");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // What it does not understand is a warning for it.
            let is_right = output.status.success() && !said.contains(&copy.display().to_string());
            assert!(is_right, "{arguments:?} {}: {said}", path.display());
        }
        count += 1;
    }
    assert_eq!(count, 3);
}
