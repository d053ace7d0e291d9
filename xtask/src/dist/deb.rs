//! The Debian package, put together from its files and closed by `dpkg-deb`.
//!
//! It has no maintainer scripts: nothing is started, enabled or created when it is installed. The
//! service is there for whoever enables it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{EXECUTABLES, Parts, put};
use crate::apt;
use crate::command::{self, command, output, root, run};

/// Where the executables lie; `/usr/bin/ayni` leads there, and it looks for the others beside itself.
const LIBEXEC: &str = "usr/libexec/ayni";

/// Files that go in as they are: from the project's folder, to the package.
const FILES: [(&str, &str); 9] = [
    ("ops/systemd/ayni.service", "lib/systemd/system/ayni.service"),
    ("ops/systemd/ayni-user.service", "usr/lib/systemd/user/ayni.service"),
    ("ops/debian/config.toml", "etc/ayni/config.toml"),
    ("ops/debian/copyright", "usr/share/doc/ayni/copyright"),
    ("ops/debian/lintian-overrides", "usr/share/lintian/overrides/ayni"),
    ("ops/prometheus/prometheus.yml", "usr/share/doc/ayni/examples/prometheus.yml"),
    ("ops/prometheus/alerts.yml", "usr/share/doc/ayni/examples/alerts.yml"),
    ("ops/grafana/ayni.json", "usr/share/doc/ayni/examples/grafana.json"),
    ("ops/container/Containerfile", "usr/share/doc/ayni/examples/Containerfile"),
];

/// Builds `ayni_VERSION_ARCH.deb`.
pub(super) fn build(parts: &Parts) -> Result<PathBuf> {
    apt::install(&["dpkg-dev", "binutils"], "they make Debian packages")?;
    let tree = parts.folder.join("deb");
    command::fresh_folder(&tree)?;
    for (name, path) in EXECUTABLES.iter().zip(&parts.executables) {
        put(&tree.join(LIBEXEC).join(name), fs::read(path)?, 0o755)?;
    }
    fs::create_dir_all(tree.join("usr/bin"))?;
    std::os::unix::fs::symlink("../libexec/ayni/ayni", tree.join("usr/bin/ayni"))?;
    let share = tree.join("usr/share");
    parts.put_share(&share, None)?;
    for (from, to) in FILES {
        let text = fs::read(root().join(from)).with_context(|| format!("can't read `{from}`"))?;
        put(&tree.join(to), text, 0o644)?;
    }
    let doc = share.join("doc/ayni");
    put(&doc.join("changelog"), fs::read(root().join("CHANGELOG.md"))?, 0o644)?;
    put(&doc.join("changelog.Debian"), changelog(parts)?, 0o644)?;
    compress(&share)?;

    let control = control(parts, &tree)?;
    put(&tree.join("DEBIAN/control"), control, 0o644)?;
    put(&tree.join("DEBIAN/conffiles"), "/etc/ayni/config.toml\n", 0o644)?;
    put(&tree.join("DEBIAN/md5sums"), sums(&tree)?, 0o644)?;
    // Folders as a usual umask would have made them.
    run(command("find").arg(&tree).args(["-type", "d", "-exec", "chmod", "755", "{}", "+"]))?;

    let file = parts.folder.join(format!("ayni_{}-1_{}.deb", parts.version, architecture()?));
    run(command("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", parts.time_s.to_string())
        .args(["--root-owner-group", "-Zxz", "-z3", "--build"])
        .arg(&tree)
        .arg(&file))?;
    Ok(file)
}

fn architecture() -> Result<String> {
    Ok(output(command("dpkg").arg("--print-architecture"))?.trim().to_owned())
}

fn control(parts: &Parts, tree: &Path) -> Result<String> {
    let template = fs::read_to_string(root().join("ops/debian/control"))?;
    let kilobytes = output(command("du").args(["-sk", "--exclude=DEBIAN"]).arg(tree))?;
    let kilobytes = kilobytes.split_whitespace().next().unwrap_or("0").to_owned();
    let note = if parts.development {
        " .\n This is a development build: slower, with more assertions, and a node can\n be told \
         to lie for tests.\n"
    } else {
        ""
    };
    Ok(template
        .replace("@VERSION@", &parts.version)
        .replace("@ARCHITECTURE@", &architecture()?)
        .replace("@INSTALLED_KB@", &kilobytes)
        .replace("@DEPENDS@", &depends(parts)?)
        + note)
}

/// What the executables need, by Debian's own tables of symbols.
fn depends(parts: &Parts) -> Result<String> {
    let folder = parts.folder.join("shlibdeps");
    command::fresh_folder(&folder)?;
    put(
        &folder.join("debian/control"),
        "Source: ayni\n\nPackage: ayni\nArchitecture: any\n",
        0o644,
    )?;
    let mut asking = command("dpkg-shlibdeps");
    asking.current_dir(&folder).arg("-O");
    for path in &parts.executables {
        asking.arg("-e").arg(path);
    }
    let told = output(&mut asking)?;
    let list = told.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(list.context("`dpkg-shlibdeps` names no dependencies")?.to_owned())
}

fn changelog(parts: &Parts) -> Result<String> {
    let when = format!("@{}", parts.time_s);
    let date = output(command("date").args(["--utc", "--rfc-email", "--date"]).arg(when))?;
    Ok(format!(
        "ayni ({}-1) unstable; urgency=medium\n\n  * Built from the project's own \
         tree; for users see changelog.gz.\n\n -- The Ayni project <ayni@localhost>  {}\n",
        parts.version,
        date.trim()
    ))
}

/// Manual pages and changelogs are compressed, without a name or time inside.
fn compress(share: &Path) -> Result<()> {
    let mut gzip = command("gzip");
    gzip.args(["-9", "-n"]);
    gzip.args(super::files_of(&share.join("man/man1"))?);
    gzip.args(["changelog", "changelog.Debian"].map(|name| share.join("doc/ayni").join(name)));
    run(&mut gzip)
}

/// Checksums of every file, for `dpkg --verify`.
fn sums(tree: &Path) -> Result<String> {
    let find = "find . -path ./DEBIAN -prune -o -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 md5sum";
    output(command("sh").args(["-c", find]).current_dir(tree))
}
