//! The people who will work in the container, as far as the image knows them.

/// An account in `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
    /// Its home, an absolute path.
    pub home: String,
}

/// Those of `names` that `passwd` has and that are not root, each once.
///
/// A name may be a number, and have a group behind a colon, as `docker run --user` takes it. One that is not
/// there is an account that is made later, or elsewhere.
pub fn find(passwd: &str, names: &[String]) -> Vec<User> {
    let mut found = Vec::new();
    for name in names {
        let name = name.split(':').next().unwrap_or_default();
        let user = passwd.lines().find_map(|line| read(line, name));
        if let Some(user) = user.filter(|user| user.uid != 0 && !found.contains(user)) {
            found.push(user);
        }
    }
    found
}

/// The account in a line of `passwd(5)`, if it is that of `name`.
fn read(line: &str, name: &str) -> Option<User> {
    let mut fields = line.split(':');
    let account = fields.next()?;
    let (uid, gid) = (fields.nth(1)?, fields.next()?);
    let home = fields.nth(1)?;
    if name.is_empty() || (account != name && uid != name) || !home.starts_with('/') {
        return None;
    }
    Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
toor:x:0:0::/root:/bin/sh
node:x:1000:1001::/home/node:/bin/bash
broken:x:many:1:::
short:x:5
relative:x:1005:1005::home:
+::::::
vscode:x:1002:1002:a,b,c:/home/vs code:
";

    #[test]
    fn who_is_there() {
        let homes = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            let found = find(PASSWD, &names);
            found.iter().map(|user| format!("{}:{}:{}", user.uid, user.gid, user.home)).collect::<Vec<_>>()
        };
        assert_eq!(homes(&["vscode", "node"]), ["1002:1002:/home/vs code", "1000:1001:/home/node"]);
        assert_eq!(homes(&["node", "1000", "node:node", "1000:5"]), ["1000:1001:/home/node"]);
        for nobody in
            ["", "root", "0", "toor", "broken", "short", "relative", "nod", "NODE", "+", "/home/node"]
        {
            assert!(homes(&[nobody]).is_empty(), "{nobody}");
        }
    }
}
