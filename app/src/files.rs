//! How many files may be open at once. Each connection and each relayed port is one; where there may be fewer of them than the tables
//! have room for, the tables are made smaller: whoever comes last would find no door at all.

use std::ops::RangeInclusive;

use twocan_signaling::Quota;

/// What is open besides: listeners, what threads wake each other by, the log, certificates as they are read anew.
const BESIDES: u64 = 128;
/// The same for each thread of the relay.
const BESIDES_THREAD: u64 = 16;

/// What part of the tables' room there are files for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    there: u64,
    wanted: u64,
}

/// The files that the tables want, beyond those that are always open.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub tables: u64,
    pub threads: u64,
}

impl Wanted {
    /// So many files are to be allowed for all the tables.
    pub fn in_all(self) -> u64 {
        self.tables + self.besides()
    }

    fn besides(self) -> u64 {
        BESIDES + BESIDES_THREAD * self.threads
    }

    /// What there is where `files` may be open.
    pub fn of(self, files: u64) -> Share {
        Share {
            there: files.saturating_sub(self.besides()).clamp(1, self.tables.max(1)),
            wanted: self.tables.max(1),
        }
    }
}

impl Share {
    /// As many as are wanted.
    pub const ALL: Self = Self { there: 1, wanted: 1 };

    /// There are enough.
    pub fn is_all(self) -> bool {
        self.there == self.wanted
    }

    pub fn quota(self, quota: Quota) -> Quota {
        if self.is_all() { quota } else { quota.scaled(self.there, self.wanted) }
    }

    /// The first of these ports.
    pub fn ports(self, ports: &RangeInclusive<u16>) -> RangeInclusive<u16> {
        let count = (ports.len() as u64 * self.there / self.wanted).max(1);
        let last = u64::from(*ports.start()) + count - 1;
        *ports.start()..=u16::try_from(last).unwrap_or(*ports.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: RangeInclusive<u16> = 49_152..=65_535;
    const WANTED: Wanted = Wanted { tables: 20_992, threads: 2 };

    #[test]
    fn where_there_are_enough_files_nothing_shrinks() {
        for files in [WANTED.in_all(), 1 << 20, u64::MAX] {
            let share = WANTED.of(files);
            assert!(share.is_all());
            assert_eq!(share.ports(&PORTS), PORTS);
            assert_eq!(share.quota(Quota::new(2_560, 512)), Quota::new(2_560, 512));
        }
    }

    #[test]
    fn where_there_are_fewer_all_tables_fit_and_some_are_left() {
        for files in [256, 1_024, 2_048, 4_096, 20_000] {
            let share = WANTED.of(files);
            let connections = [2_560, 2_048].map(|total| share.quota(Quota::new(total, 512)).total);
            let open = connections.iter().sum::<u64>() + share.ports(&PORTS).len() as u64;
            assert!(open + 128 <= files, "{open} of {files}");
            assert!(open >= (files - 160) * 9 / 10, "{open} of {files}");
        }
    }

    #[test]
    fn with_next_to_none_there_is_one_of_each() {
        let share = WANTED.of(10);
        assert_eq!((share.ports(&PORTS).len(), share.quota(Quota::new(2_560, 512)).total), (1, 1));
    }
}
