//! A command with its children: started in a process group of its own, stopped as a whole.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// What the key is called in our environment; no command sees it.
const KEY: &str = "ROLLCALL_KEY";

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    /// Starts a program with its arguments.
    pub(crate) fn start(
        program: &str,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove(KEY)
            .envs(environment.iter().copied())
            .stdin(Stdio::inherit())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self { child, group })
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Stops it and its children: asks, and kills what is there after the grace.
    pub(crate) async fn stop(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        let until = Instant::now() + grace;
        let _ = timeout(grace, self.child.wait()).await;
        // Its children may take longer than it does.
        while self.is_there() && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may be gone already.
            let _ = kill_process_group(group, signal);
        }
    }

    fn is_there(&self) -> bool {
        self.group
            .is_some_and(|group| test_kill_process_group(group).is_ok())
    }
}

/// The exit status that shells give: the program's own, or 128 and the signal that ended it.
pub(crate) fn status(ended: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = ended
        .code()
        .or_else(|| ended.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Running {
        let arguments = ["-c".to_owned(), line.to_owned()];
        Running::start("/bin/sh", &arguments, &[("ROLLCALL_ARTEFACT_ID", "TS-1")]).unwrap()
    }

    #[tokio::test]
    async fn a_command_has_its_own_status() {
        for (line, expected) in [
            ("exit 0", 0),
            ("exit 7", 7),
            ("kill -KILL $$", 137),
            (
                "test \"$ROLLCALL_ARTEFACT_ID\" = TS-1 && test -z \"$ROLLCALL_KEY\"",
                0,
            ),
        ] {
            let ended = shell(line).ended().await.unwrap();
            assert_eq!(status(ended), expected, "{line}");
        }
        assert!(Running::start("/no/such/program", &[], &[]).is_err());
    }

    #[tokio::test]
    async fn a_command_is_stopped_with_its_children() {
        // One that leaves when asked, with a child in the background, and one that has to be killed.
        for (line, grace) in [
            ("sleep 600 & sleep 600", 10),
            ("trap '' TERM; sleep 600 & while true; do sleep 1; done", 0),
        ] {
            let mut running = shell(line);
            let begun = Instant::now();
            running.stop(Duration::from_secs(grace)).await;
            assert!(begun.elapsed() < Duration::from_secs(9), "{line}");
            assert!(!running.is_there() || all_are_dead(&running), "{line}");
        }
    }

    // What was killed stays in the table until somebody has asked for it.
    fn all_are_dead(running: &Running) -> bool {
        let group = running.group.unwrap().as_raw_nonzero().get().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let stats =
            processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        stats
            .filter_map(|stat| {
                let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
                (*fields.get(2)? == group).then(|| fields[0] == "Z")
            })
            .all(|dead| dead)
    }
}
