//! How the benches write what they measured.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

/// Whether a bar was kept.
pub fn verdict(kept: bool) -> &'static str {
    if kept { "✓" } else { "✗" }
}

/// Two or three digits, in the unit that they are read in.
pub fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1e3 => format!("{micros:.0} µs"),
        ..1e4 => format!("{:.2} ms", micros / 1e3),
        ..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// When, and on how large a machine.
pub fn machine() -> Result<String> {
    let date = Command::new("date").arg("+%F").output()?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kib: f64 = memory
        .split_whitespace()
        .nth(1)
        .context("the kernel tells the size of the memory")?
        .parse()?;
    Ok(format!(
        "Measured on {}, {} cores, {:.0} GiB of memory.",
        String::from_utf8_lossy(&date.stdout).trim(),
        std::thread::available_parallelism()?,
        kib / f64::from(1 << 20)
    ))
}

/// The most memory that a process has had, in MiB. Linux only.
pub fn peak_mib(process: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: f64 = kib.context("the kernel does not tell the peak")?.parse()?;
    Ok(kib / 1024.0)
}

/// For how many pages this process has waited that had to come from the disk. Linux only.
pub fn pages_awaited() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The program's name may hold anything, and is in brackets.
    let (_, fields) = stat.rsplit_once(')').context("there is no name")?;
    let faults = fields.split_whitespace().nth(9);
    Ok(faults.context("there are no faults")?.parse()?)
}

/// From now on, the peak of this process is what it has from now on. Linux only.
pub fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("the kernel keeps the old peak")
}
