use std::fs;

use verisoo::Vkey;

use crate::process::{keygen, run};

#[test]
fn keygen_prints_the_vkey_and_keeps_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let vkey = keygen(&file, "alice.example");
    assert_eq!(Vkey::parse(&vkey).unwrap().name().as_str(), "alice.example");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let before = fs::read(&file).unwrap();
    let again = run(&["keygen", file.to_str().unwrap()]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("not written"), "{again:?}");
    assert!(again.stdout.is_empty(), "a vkey was printed that no file holds");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "a b", "a+b", &"a".repeat(64)] {
        let file = dir.path().join("key");
        let output = run(&["keygen", file.to_str().unwrap(), "--name", name]);
        assert!(!output.status.success(), "{name}");
        assert!(!file.exists(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    keygen(&file, "alice.example");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&["serve", "--key", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--new-log"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"), "{output:?}");
}
