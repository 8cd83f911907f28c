//! The home that this user's other programs have.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines beyond this are not looked at.
const MAX: u64 = 1024 * 1024;

/// From the account, since `HOME` is whatever the caller says; that is for users without an account. `/` where
/// neither is a folder.
pub fn of_this_user() -> PathBuf {
    let passwd = fs::metadata("/etc/passwd").ok().filter(|file| file.len() <= MAX);
    let passwd = passwd.and_then(|_| fs::read("/etc/passwd").ok()).unwrap_or_default();
    let account = find(&String::from_utf8_lossy(&passwd), rustix::process::getuid().as_raw());
    let set = env::var_os("HOME").map(PathBuf::from);
    let mut homes = account.into_iter().chain(set).filter(|home| home.is_absolute());
    homes.find_map(|home| home.canonicalize().ok()).unwrap_or_else(|| Path::new("/").to_owned())
}

/// The home of a uid's first account in `passwd(5)`.
pub fn find(passwd: &str, uid: u32) -> Option<PathBuf> {
    let mut accounts = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let number: u32 = fields.next()?.parse().ok()?;
        let home = fields.nth(2)?;
        (number == uid && home.starts_with('/')).then(|| PathBuf::from(home))
    });
    accounts.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nshort:x:5\nnode:x:1000:1000::/home/node:/bin/sh\n\
                      late:x:1000:1000::/home/late:/bin/sh\nrelative:x:7:7::home:\nempty:x:8:8:::\n";
        assert_eq!(find(passwd, 1000), Some(PathBuf::from("/home/node")));
        assert_eq!(find(passwd, 0), Some(PathBuf::from("/root")));
        for uid in [5, 7, 8, 9] {
            assert_eq!(find(passwd, uid), None, "{uid}");
        }
    }
}
