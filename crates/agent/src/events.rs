//! Server-sent events, as far as Rollcall sends them (WHATWG HTML, 9.2): the data of each, parts put together.

/// The longest event that is put together, in bytes.
const LONGEST: usize = 256 * 1024;

/// Collects parts of a stream into events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    text: Vec<u8>,
}

impl Events {
    /// Takes a part and answers the data of the events that it completes. Comments have none. `None` where an event is
    /// longer than any that we are sent.
    pub(crate) fn take(&mut self, part: &[u8]) -> Option<Vec<String>> {
        self.text.extend_from_slice(part);
        let mut found = Vec::new();
        while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.text.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                found.push(data.join("\n"));
            }
        }
        (self.text.len() <= LONGEST).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_parts() {
        let mut events = Events::default();
        assert_eq!(events.take(b": here\n\n"), Some(vec![]));
        assert_eq!(events.take(b"event: run\ndata: {\"a\""), Some(vec![]));
        assert_eq!(
            events.take(b":1}\n\ndata:x\ndata: y\n\nda"),
            Some(vec!["{\"a\":1}".to_owned(), "x\ny".to_owned()])
        );
        assert_eq!(events.take(b"ta: z\n\n"), Some(vec!["z".to_owned()]));
        assert_eq!(events.take(&vec![b'x'; LONGEST + 1]), None);
    }
}
