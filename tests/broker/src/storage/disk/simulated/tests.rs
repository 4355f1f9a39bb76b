use std::collections::BTreeSet;

use super::*;

const DIR: &str = "/data";

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn disk_with(bytes: &[u8]) -> (SimulatedDisk, Arc<dyn DiskFile>) {
    let disk = SimulatedDisk::default();
    disk.create_dir(Path::new(DIR)).unwrap();
    let file = disk.create(&path("a")).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (disk, file)
}

/// The outcomes of many crashes of such a disk.
fn crashes<T: Ord>(make: impl Fn() -> SimulatedDisk, look: impl Fn(SimulatedDisk) -> T) -> BTreeSet<T> {
    (0..300).map(|seed| look(make().crash(seed))).collect()
}

#[test]
fn what_was_synced_outlives_a_crash() {
    let make = || {
        let (disk, file) = disk_with(b"kept");
        file.sync().unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        file.write_all_at(b"KE", 0).unwrap();
        disk
    };
    let seen = crashes(make, |disk| disk.read(&path("a")));
    assert_eq!(seen, [b"kept", b"Kept", b"KEpt"].map(Vec::from).into());
}

#[test]
fn a_name_that_was_not_synced_may_be_lost() {
    let make = || {
        let (disk, file) = disk_with(b"x");
        file.sync().unwrap();
        disk
    };
    assert_eq!(crashes(make, |disk| disk.list(Path::new(DIR)).unwrap().len()), [0, 1].into());
}

#[test]
fn an_unsynced_rename_is_done_or_not_done() {
    let make = || {
        let (disk, file) = disk_with(b"x");
        file.sync().unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        disk.rename(&path("a"), &path("b")).unwrap();
        disk
    };
    let seen = crashes(make, |disk| disk.list(Path::new(DIR)).unwrap());
    assert_eq!(seen, [vec!["a".to_owned()], vec!["b".to_owned()]].into());
}

#[test]
fn sectors_reach_the_medium_in_no_order() {
    let make = || {
        let (disk, _) = disk_with(&[1; 2 * 512]);
        disk.sync_dir(Path::new(DIR)).unwrap();
        disk
    };
    let later_alone = |disk: SimulatedDisk| {
        let bytes = disk.read(&path("a"));
        bytes.len() == 1_024 && bytes[..512] == [0; 512] && bytes[512..] == [1; 512]
    };
    assert!(crashes(make, later_alone).contains(&true));
}

#[test]
fn the_same_seed_gives_the_same_crash() {
    let after = |seed| {
        let (disk, _) = disk_with(&[7; 5_000]);
        disk.sync_dir(Path::new(DIR)).unwrap();
        disk.crash(seed).read(&path("a"))
    };
    for seed in 0..50 {
        assert_eq!(after(seed), after(seed), "seed {seed}");
    }
}

#[test]
fn a_killed_process_leaves_its_writes_and_can_do_nothing_more() {
    let (disk, file) = disk_with(b"written");
    let after = disk.kill();
    assert_eq!(after.read(&path("a")), b"written");
    assert!(file.write_all_at(b"x", 0).is_err());
    assert!(file.sync().is_err());
    assert!(disk.create(&path("b")).is_err());
    assert!(after.open(&path("a")).is_ok());
}

#[test]
fn a_write_over_the_capacity_is_done_in_part() {
    let (disk, file) = disk_with(b"1234");
    disk.set_capacity(Some(6));
    let error = file.write_all_at(b"abcdef", 2).unwrap_err();
    assert!(super::super::is_no_room(&error));
    assert_eq!(disk.read(&path("a")), b"12abcd");
    file.write_all_at(b"ABCD", 2).unwrap();
    file.set_len(1).unwrap();
    assert!(file.set_len(7).is_err());
    disk.set_capacity(None);
    file.write_all_at(b"abcdef", 2).unwrap();
}

#[test]
fn syncs_fail_as_they_are_told() {
    let (disk, file) = disk_with(b"x");
    disk.fail_sync(2);
    assert_eq!([file.sync().is_ok(), disk.sync_dir(Path::new(DIR)).is_ok(), file.sync().is_ok()], [true, false, true]);
    disk.fail_syncs(true);
    assert!(file.sync().is_err() && file.sync().is_err());
    disk.fail_syncs(false);
    assert!(file.sync().is_ok());
    assert_eq!(disk.counts(), Counts { writes: 1, syncs_begun: 5, syncs: 3 });
}
