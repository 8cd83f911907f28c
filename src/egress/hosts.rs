//! The block of `/etc/hosts` (hosts(5)) that hands out the allowed names' addresses.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::policy::HostName;

const BEGIN: &str = "# agent-sandbox: allowed names; rewritten while the container runs";
const END: &str = "# agent-sandbox: end";

/// The addresses that others have written down for a name: Docker does for the host, with `--add-host`.
pub fn find(text: &str, name: &HostName) -> Vec<IpAddr> {
    let others = replace_block(text, &[]);
    let lines = others.lines().map(|line| line.split('#').next().unwrap_or_default());
    let found = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name.as_str())).then_some(address)
    });
    found.collect()
}

/// The text of a hosts file with our block replaced by these addresses; everybody else's lines stay.
pub fn replace_block(text: &str, entries: &[(IpAddr, &HostName)]) -> String {
    let mut lines = Vec::new();
    let mut ours = false;
    for line in text.lines() {
        match line {
            BEGIN => ours = true,
            END if ours => ours = false,
            _ if ours => {}
            _ => lines.push(line),
        }
    }
    let mut result = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    let _ = writeln!(result, "{BEGIN}");
    for (address, name) in entries {
        let _ = writeln!(result, "{address}\t{name}");
    }
    let _ = writeln!(result, "{END}");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_replaced_and_the_rest_stays() {
        let name = HostName::parse("api.example").unwrap();
        let first = replace_block(
            "127.0.0.1\tlocalhost\n172.17.0.2\tbox",
            &[("203.0.113.1".parse().unwrap(), &name)],
        );
        assert_eq!(
            first,
            format!("127.0.0.1\tlocalhost\n172.17.0.2\tbox\n{BEGIN}\n203.0.113.1\tapi.example\n{END}\n")
        );
        let second = replace_block(&first, &[]);
        assert_eq!(second, format!("127.0.0.1\tlocalhost\n172.17.0.2\tbox\n{BEGIN}\n{END}\n"));
        assert_eq!(replace_block(&second, &[]), second);
    }

    #[test]
    fn what_others_wrote_is_found() {
        let name = HostName::parse("host.docker.internal").unwrap();
        let text = "127.0.0.1 localhost # host.docker.internal\n172.17.0.1\tx Host.Docker.Internal\nfd00::1 host.docker.internal\n";
        let text = replace_block(text, &[("203.0.113.1".parse().unwrap(), &name)]);
        let found: Vec<String> = find(&text, &name).iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["172.17.0.1", "fd00::1"]);
    }

    #[test]
    fn an_unended_block_does_not_swallow_what_is_read_later() {
        let text = replace_block(&format!("a b\n{BEGIN}\n1.1.1.1 x\n"), &[]);
        assert_eq!(text, format!("a b\n{BEGIN}\n{END}\n"));
    }
}
