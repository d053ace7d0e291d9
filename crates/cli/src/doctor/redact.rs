//! Takes out of a text what others must not read: secrets always, addresses of machines unless they
//! are wanted, and whose machine it is.
//!
//! Secrets are known exactly: they are read from the home and looked for in each form in which they
//! might have been written. The rest is known by its shape. What is taken out is numbered, so that the
//! same address is the same number throughout. When in doubt it goes: a log that says too little can
//! be asked about, one that said too much can't be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use super::home::secret_files;

/// Longest secret file that is read.
const SECRET_BYTES_MAX: u64 = 1 << 20;
/// Shorter ones would be found in every text.
const SECRET_LETTERS_MIN: usize = 3;
/// Hex digits from here on are a digest, a key or an account; 32 are a job.
const HEX_DIGITS_MIN: usize = 40;

/// What is to be taken out, and what was.
pub(super) struct Redactor {
    secrets: BTreeSet<Vec<u8>>,
    /// What is put in their place, longest first.
    names: Vec<(String, &'static str)>,
    addresses: bool,
    /// Host names of peers and relays, which have no shape of their own.
    hosts: BTreeSet<String>,
    seen: BTreeMap<(&'static str, String), usize>,
    counts: BTreeMap<&'static str, usize>,
}

impl Redactor {
    /// Knows the secrets of `home`. With `addresses`, those of machines stay.
    pub(super) fn new(home: &Path, addresses: bool) -> Self {
        let mut redactor = Self {
            secrets: BTreeSet::new(),
            names: Vec::new(),
            addresses,
            hosts: BTreeSet::new(),
            seen: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        for path in secret_files(home) {
            if std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= SECRET_BYTES_MAX)
                && let Ok(bytes) = std::fs::read(&path)
            {
                redactor.secret(&bytes);
            }
        }
        redactor.name(&home.display().to_string(), "[home]");
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            redactor.name(&std::env::var(variable).unwrap_or_default(), "~");
        }
        for variable in ["USER", "LOGNAME", "SUDO_USER"] {
            let user = std::env::var(variable).unwrap_or_default();
            if user != "root" {
                redactor.name(&user, "[user]");
            }
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if host != "localhost" {
            redactor.name(&host, "[host]");
        }
        redactor.names.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        redactor
    }

    /// A host, with or without a port, or a URL of one.
    pub(super) fn host(&mut self, text: &str) {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        if host.contains('.') && host.parse::<IpAddr>().is_err() {
            self.hosts.insert(host.to_owned());
        }
    }

    /// Something that is nobody's business, in each form in which it may be written.
    pub(super) fn secret(&mut self, bytes: &[u8]) {
        let trimmed = bytes.trim_ascii();
        let mut forms = BTreeSet::from([bytes.to_vec(), trimmed.to_vec()]);
        for raw in [bytes, trimmed] {
            for encoding in [HEXLOWER, HEXUPPER, BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD] {
                forms.insert(encoding.encode(raw).into_bytes());
            }
        }
        if let Ok(text) = std::str::from_utf8(trimmed) {
            // As a log in JSON, or Rust, would have it.
            for quoted in [serde_json::to_string(text).unwrap_or_default(), format!("{text:?}")] {
                let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                forms.extend(inside.map(|inside| inside.as_bytes().to_vec()));
            }
            // Each value in a file of several, such as a keystore's.
            let ends = |c: char| c.is_whitespace() || "\"',:{}[]".contains(c);
            let parts = text.split(ends).chain(text.lines().map(str::trim));
            forms
                .extend(parts.filter(|part| part.len() >= 16).map(|part| part.as_bytes().to_vec()));
        }
        self.secrets.extend(forms.into_iter().filter(|form| form.len() >= SECRET_LETTERS_MIN));
    }

    fn name(&mut self, text: &str, instead: &'static str) {
        let text = text.trim_end_matches('/');
        if text.len() >= SECRET_LETTERS_MIN {
            self.names.push((text.to_owned(), instead));
        }
    }

    /// The text without all that.
    pub(super) fn clean(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        // Longest first: one secret may be a part of another.
        let mut secrets: Vec<_> =
            self.secrets.iter().filter_map(|s| std::str::from_utf8(s).ok()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets {
            if text.contains(secret) {
                text = text.replace(secret, "[secret]");
            }
        }
        for (name, instead) in &self.names {
            text = replace_whole(&text, name, instead);
        }
        let text = self.urls(&text);
        let mut clean = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(start) = rest.find(in_word) {
            clean.push_str(&rest[..start]);
            let word = &rest[start..];
            let end = word.find(|c| !in_word(c)).unwrap_or(word.len());
            let kept = self.word(&word[..end]);
            clean.push_str(&kept);
            rest = &word[end..];
        }
        clean.push_str(rest);
        clean
    }

    /// The secrets that are in these bytes all the same.
    pub(super) fn leaks(&self, bytes: &[u8]) -> usize {
        let holds = |secret: &&Vec<u8>| {
            bytes.windows(secret.len()).any(|window| window == secret.as_slice())
        };
        self.secrets.iter().filter(holds).count()
    }

    /// The text without what follows `://`: user, password, host, path and query may each be
    /// somebody's. Those of this machine stay.
    fn urls(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let (before, after) = rest.split_at(at + 3);
            clean.push_str(before);
            let ends = |c: char| c.is_whitespace() || "\"'`<>(){}|\\,;".contains(c);
            let url = &after[..after.find(ends).unwrap_or(after.len())];
            let bare = !url.contains(['@', '?']);
            let own = ["127.0.0.1:", "[::1]:", "localhost:"].iter().any(|own| url.starts_with(own));
            if url.is_empty() || bare && (own || self.addresses) {
                clean.push_str(url);
            } else {
                clean.push_str(&self.numbered("url", url));
            }
            rest = &after[url.len()..];
        }
        clean + rest
    }

    /// A run of letters, digits and what stands inside addresses.
    fn word(&mut self, word: &str) -> String {
        let body = word.trim_end_matches(['.', ':', '-']);
        let end = &word[body.len()..];
        let split = ['/', '@', '=', '&', '?', '#', ',', '+'];
        if let Some(at) = body.find(split) {
            let (first, rest) = body.split_at(at);
            return format!("{}{}{}{end}", self.word(first), &rest[..1], self.word(&rest[1..]));
        }
        format!("{}{end}", self.piece(body))
    }

    fn piece(&mut self, piece: &str) -> String {
        let digits = piece.strip_prefix("0x").unwrap_or(piece);
        if digits.len() >= HEX_DIGITS_MIN && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return self.numbered("hex", digits);
        }
        if self.addresses {
            return piece.to_owned();
        }
        if piece.starts_with("did:key:") {
            return self.numbered("node", piece);
        }
        if piece.starts_with("ayni1") && piece.len() > 20 {
            return self.numbered("ticket", piece);
        }
        if let Some((ip, port)) = address(piece) {
            if ip.is_loopback() || ip.is_unspecified() {
                return piece.to_owned();
            }
            return self.numbered("address", &ip.to_string()) + &port;
        }
        let host = piece.split(':').next().unwrap_or(piece);
        if self.hosts.contains(host) {
            return self.numbered("address", host) + &piece[host.len()..];
        }
        piece.to_owned()
    }

    fn numbered(&mut self, kind: &'static str, text: &str) -> String {
        let key = (kind, text.to_owned());
        if let Some(number) = self.seen.get(&key) {
            return format!("[{kind}-{number}]");
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        self.seen.insert(key, *count);
        format!("[{kind}-{count}]")
    }
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-:/@=&?#%+~,".contains(c)
}

/// An IP address with what follows it (`:port`), if it is one.
fn address(piece: &str) -> Option<(IpAddr, String)> {
    if let Some(ip) = parse_ip(piece) {
        return Some((ip, String::new()));
    }
    let (ip, port) = piece.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    Some((parse_ip(ip)?, format!(":{port}")))
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    text.split_once('%').map_or(text, |(ip, _)| ip).parse().ok()
}

/// Replaces a name where it is not part of a longer one.
fn replace_whole(text: &str, name: &str, instead: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let after = rest[at + name.len()..].chars().next();
        let whole = name.starts_with('/') || !before.is_some_and(part);
        let whole = whole && !after.is_some_and(part);
        out.push_str(&rest[..at]);
        out.push_str(if whole { instead } else { name });
        rest = &rest[at + name.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(addresses: bool) -> (tempfile::TempDir, Redactor) {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        put("api.token", "ab".repeat(32).as_bytes());
        put("keys/node", &[0xfe; 32]);
        put("keys/password", b"correct \"horse\"\n");
        put("keys/accounts/one.json", br#"{"crypto":{"mac":"0123456789abcdefFEDC"}}"#);
        let redactor = Redactor::new(home.path(), addresses);
        (home, redactor)
    }

    #[test]
    fn secrets_go_in_every_form_in_which_they_may_be_written() {
        let (home, mut redactor) = redactor(true);
        let token = "ab".repeat(32);
        let shown = home.path().display();
        for (text, clean) in [
            (format!("Bearer {token}"), "Bearer [secret]"),
            (format!("key {}", "fe".repeat(32)), "key [secret]"),
            (format!("key {}", "FE".repeat(32)), "key [secret]"),
            (format!("key={}", BASE64.encode(&[0xfe; 32])), "key=[secret]"),
            ("password correct \"horse\" taken".to_owned(), "password [secret] taken"),
            (
                r#"{"why":"correct \"horse\" is wrong"}"#.to_owned(),
                r#"{"why":"[secret] is wrong"}"#,
            ),
            ("mac 0123456789abcdefFEDC".to_owned(), "mac [secret]"),
            (format!("can't read {shown}/journal.redb"), "can't read [home]/journal.redb"),
        ] {
            assert_eq!(redactor.clean(&text), clean);
            assert_eq!(redactor.leaks(redactor.secrets.first().unwrap()), 1);
        }
        assert!(redactor.leaks(format!("x{token}x").as_bytes()) > 0);
        assert_eq!(redactor.leaks(b"nothing"), 0);
    }

    #[test]
    fn addresses_go_unless_they_are_wanted_and_keep_their_number() {
        let (_home, mut hiding) = redactor(false);
        hiding.host("https://relay.example.org:3340");
        let (_other, mut showing) = redactor(true);
        let node = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        for (text, clean) in [
            ("from 192.0.2.7:4545.", "from [address-1]:4545."),
            ("192.0.2.7, then 198.51.100.4", "[address-1], then [address-2]"),
            ("addr=[2001:db8::1]:7 2001:db8::1", "addr=[[address-3]]:7 [address-3]"),
            ("[192.0.2.7:1,192.0.2.7:2]", "[[address-1]:1,[address-1]:2]"),
            ("{192.0.2.7:1}(192.0.2.7)", "{[address-1]:1}([address-1])"),
            ("(http://[2001:db8::1]:8/KEY)", "(http://[url-1])"),
            ("http://127.0.0.1:7700/v1/jobs", "http://127.0.0.1:7700/v1/jobs"),
            ("at relay.example.org:3340", "at [address-4]:3340"),
            ("rpc https://me:pw@chain.example/v2/KEY", "rpc https://[url-2]"),
            ("join ayni1qqqqqqqqqqqqqqqqqqqqqqqqq", "join [ticket-1]"),
            (&format!("peer {node}@192.0.2.7:1"), "peer [node-1]@[address-1]:1"),
        ] {
            assert_eq!(hiding.clean(text), clean);
        }
        assert_eq!(showing.clean(&format!("{node}@192.0.2.7:1")), format!("{node}@192.0.2.7:1"));
        // Passwords are not addresses.
        assert_eq!(showing.clean("https://me:pw@chain.example"), "https://[url-1]");
    }

    #[test]
    fn what_helps_stays() {
        let (_home, mut redactor) = redactor(false);
        for text in [
            r#"{"timestamp":"2026-11-23T10:00:00.123456Z","level":"INFO","fields":{"message":"up"}}"#,
            "api=127.0.0.1:7700 [::1]:80 0.0.0.0:0",
            "job 6b077d7c903c3b7a415fa3a481ac2882: 8 tasks, 5.4 s, ayni_net=debug, v0.1.0",
            "E-NET-001 at crates/net/src/net.rs:12:5",
        ] {
            assert_eq!(redactor.clean(text), text);
        }
        let digest = "0123456789abcdef".repeat(4);
        assert_eq!(redactor.clean(&format!("blob {digest}: 0x{digest}")), "blob [hex-1]: [hex-1]");
    }

    #[test]
    fn a_name_inside_another_is_left_alone() {
        assert_eq!(
            replace_whole("bob bobby /home/bob/x", "bob", "[user]"),
            "[user] bobby /home/[user]/x"
        );
        assert_eq!(replace_whole("/srv/a/b /srv/ab", "/srv/a", "~"), "~/b /srv/ab");
    }
}
