//! Whether a process really listens on an address.

use std::{fs, net::SocketAddr};

/// State "listen" in /proc/net/tcp.
const LISTEN: &str = "0A";

/// Whether the process `pid` listens on the port of `address`, as the kernel says.
pub(super) fn listens(pid: u32, address: SocketAddr) -> bool {
    let table = if address.is_ipv4() { "tcp" } else { "tcp6" };
    let Ok(sockets) = fs::read_to_string(format!("/proc/{pid}/net/{table}")) else { return false };
    let listening: Vec<String> = sockets.lines().skip(1).filter_map(|line| socket(line, address.port())).collect();
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    !listening.is_empty() && targets.any(|target| listening.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

/// The link target of the socket of a line, if it listens on `port`.
fn socket(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let found = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (state == LISTEN && found == port).then(|| format!("socket:[{inode}]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_belongs_to_the_process_that_listens_on_it() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let address = listener.local_addr().unwrap();
            assert!(listens(std::process::id(), address), "{host}");
            // Another process of ours, which has no such socket.
            let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
            assert!(!listens(child.id(), address), "{host}");
            child.kill().unwrap();
            child.wait().unwrap();
            drop(listener);
            assert!(!listens(std::process::id(), address), "{host}");
        }
    }
}
