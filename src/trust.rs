//! Whose files are believed: a configuration, a key or a journal that somebody else wrote could send every token
//! elsewhere, or call posts published. And where requests may go in clear text.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::{getegid, geteuid};
use url::{Host, Url};

/// Opens a regular file; nothing else, such as a pipe, holds the program up.
pub(crate) fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("it is one bit");
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is not a regular file",
    ))
}

/// The same for a file that is believed: it belongs to this user or to root, and nobody else may write it.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = open_regular(path, options)?;
    let metadata = file.metadata()?;
    let refused = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
    let (own, owner) = (geteuid().as_raw(), metadata.uid());
    if owner != own && owner != 0 {
        return Err(refused(format!(
            "it belongs to another user (uid {owner}), who could have written anything there; make it this user's (chown {own})"
        )));
    }
    // A user's own group is only theirs on most systems, and may write what they make.
    let others = if metadata.gid() == getegid().as_raw() {
        0o002
    } else {
        0o022
    };
    if metadata.mode() & others != 0 {
        return Err(refused(format!(
            "others may write it (mode {:o}); mend that with `chmod go-w '{}'`",
            metadata.mode() & 0o777,
            path.display()
        )));
    }
    Ok(file)
}

/// The text of a file that is believed.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path, OpenOptions::new().read(true))?.read_to_string(&mut text)?;
    Ok(text)
}

/// An address that stands in for platforms: tokens go there, and so in clear text to this machine or one beside it alone.
pub(crate) fn stand_in(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|why| format!("`{text}` is not a URL: {why}"))?;
    check_stand_in(&url)?;
    Ok(url)
}

/// Whether tokens may go there.
pub(crate) fn check_stand_in(url: &Url) -> Result<(), String> {
    let near = match url.host() {
        Some(Host::Domain(name)) => is_local(name),
        Some(Host::Ipv4(address)) => is_local_address(address.into()),
        Some(Host::Ipv6(address)) => is_local_address(address.into()),
        None => return Err("the address has no host".to_owned()),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if near => Ok(()),
        "http" => Err(
            "the address is http:// on another machine: tokens would go there in clear text; use https://".to_owned(),
        ),
        scheme => Err(format!("addresses start with http:// or https://, not {scheme}:")),
    }
}

/// Whether a host is this machine or one beside it, so that what is sent there crosses no foreign wire: loopback, a
/// socket, a name without a dot (containers give them to each other), or under a domain for private use.
pub(crate) fn is_local(host: &str) -> bool {
    if host.starts_with('/') {
        return true;
    }
    let address = host.split('%').next().unwrap_or_default();
    if let Ok(address) = address.parse() {
        return is_local_address(address);
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let private = [".internal", ".local", ".localhost"];
    !host.contains('.') || private.iter().any(|domain| host.ends_with(domain))
}

fn is_local_address(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_stays_near() {
        for (address, fine) in [
            ("http://127.0.0.1:8025/", true),
            ("http://[::1]:8025/", true),
            ("http://localhost/x", true),
            ("http://sandbox:8025", true),
            ("http://sandbox.internal", true),
            ("https://sandbox.example.com", true),
            ("http://sandbox.example.com", false),
            ("http://0.0.0.0:8025", false),
            ("http://10.0.0.1", false),
            ("http://[2001:db8::1]", false),
            ("ftp://localhost", false),
            ("data:x", false),
            ("nonsense", false),
        ] {
            assert_eq!(stand_in(address).is_ok(), fine, "{address}");
        }
    }
}
