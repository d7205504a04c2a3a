//! The world: what is stored, what is in memory, what is on its way, and what becomes of each step.

use rollcall_core::rotation::Verdict;

use super::server::Server;

/// The step at which the session reaches its absolute limit.
pub(crate) const LIMIT: u8 = 5;
/// Honest clients come first; the last one is the thief.
const CLIENTS: usize = 4;
const THIEF: usize = CLIENTS - 1;

/// What `docs/rotation.md` promises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Claim {
    OneSuccessor,
    HonestStays,
    StaleEnds,
    LimitStays,
    EndStays,
}

/// How the session ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum End {
    Reuse,
    Administrator,
}

/// The session's row. Of two versions the later one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Row {
    pub(crate) ended: Option<End>,
    pub(crate) generation: u8,
    pub(crate) first_used: Option<u8>,
    pub(crate) limit: u8,
}

/// What a judgement wants to write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Write {
    FirstUse,
    Rotation,
    Theft,
}

/// Where a client's request is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Request {
    None,
    /// On its way to the server, with this token.
    Sent(u8),
    /// Judged at `at` by the row `seen`, and not yet written. To accept it would break `never`.
    Judged {
        token: u8,
        write: Write,
        seen: Row,
        at: u8,
        never: Option<Claim>,
    },
    /// Committed; the cache is not yet told, and the answer, perhaps with a successor, has not left.
    Written {
        row: Row,
        successor: Option<u8>,
    },
    /// The answer is on its way, with this successor.
    Answered(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Client {
    /// The token to send next; the thief may have none yet.
    token: Option<u8>,
    request: Request,
}

/// What can happen next; numbers are those of clients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    /// 10 seconds pass.
    Tick,
    Send(usize),
    /// A request or an answer does not arrive.
    Lose(usize),
    /// The request arrives, and the server judges it.
    Judge(usize),
    Write(usize),
    /// The database refuses to write: busy, or its disk is full.
    Refuse(usize),
    /// The cache is told of the commit, and the answer leaves.
    Tell(usize),
    /// The answer arrives.
    Receive(usize),
    /// The thief copies the token of this client.
    Copy(usize),
    End,
    /// The cache is told of the administrator's end.
    TellEnd,
    /// The cache pushes the session out.
    Forget,
    /// What is in memory is gone, and the server is there again.
    Crash,
}

/// A state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct World {
    now: u8,
    pub(crate) row: Row,
    /// What the cache holds; also `None` where that is what is stored.
    cache: Option<Row>,
    /// The newest version that the cache was told of; an end counts for good.
    floor: Option<Row>,
    /// The administrator's end is stored, and neither told to the cache nor answered.
    end_untold: bool,
    clients: [Client; CLIENTS],
    /// When each generation was first used.
    first_use: [Option<u8>; LIMIT as usize + 1],
    /// Claim 2 has no more to say: the thief came, or an honest request came too late.
    excused: bool,
    /// The claim that this step has broken; nothing happens after it.
    pub(crate) broken: Option<Claim>,
}

impl World {
    /// One session of three honest clients, its token used by the sign-in itself.
    pub(crate) fn after_sign_in() -> Self {
        let row = Row {
            ended: None,
            generation: 0,
            first_used: Some(0),
            limit: LIMIT,
        };
        let mut first_use = [None; LIMIT as usize + 1];
        first_use[0] = Some(0);
        let client = |token| Client {
            token,
            request: Request::None,
        };
        let mut clients = [client(Some(0)); CLIENTS];
        clients[THIEF] = client(None);
        Self {
            now: 0,
            row,
            cache: None,
            floor: None,
            end_untold: false,
            clients,
            first_use,
            excused: false,
            broken: None,
        }
    }

    /// Whether the answers of all honest clients are on their way with this successor.
    pub(crate) fn all_receive(&self, successor: u8) -> bool {
        self.clients[..THIEF]
            .iter()
            .all(|client| client.request == Request::Answered(successor))
    }

    /// What can happen next.
    pub(crate) fn possible(&self, actions: &mut Vec<Action>) {
        if self.broken.is_some() {
            return;
        }
        let in_time = self.clients.iter().all(|client| match client.request {
            Request::Judged { at, .. } => at == self.now,
            Request::Written { .. } => false,
            _ => true,
        });
        if self.now < LIMIT && in_time && !self.end_untold {
            actions.push(Action::Tick);
        }
        for (index, client) in self.clients.iter().enumerate() {
            // Equal clients do equal things.
            if index < THIEF && index > 0 && self.clients[index - 1] == *client {
                continue;
            }
            match client.request {
                Request::None if client.token.is_some() => actions.push(Action::Send(index)),
                Request::None => {}
                Request::Sent(_) => {
                    actions.extend([Action::Judge(index), Action::Lose(index)]);
                }
                Request::Judged { .. } => {
                    actions.extend([Action::Write(index), Action::Refuse(index)]);
                }
                Request::Written { .. } => actions.push(Action::Tell(index)),
                Request::Answered(_) => {
                    actions.extend([Action::Receive(index), Action::Lose(index)]);
                }
            }
            if index < THIEF {
                actions.push(Action::Copy(index));
            }
        }
        actions.push(if self.end_untold {
            Action::TellEnd
        } else {
            Action::End
        });
        if self.cache.is_some() {
            actions.push(Action::Forget);
        }
        actions.push(Action::Crash);
    }

    /// Does it.
    pub(crate) fn take(&mut self, action: Action, server: Server, one_jar: bool) {
        let before = self.row;
        match action {
            Action::Tick => self.now += 1,
            Action::Send(who) => {
                if let Some(token) = self.clients[who].token {
                    self.clients[who].request = Request::Sent(token);
                }
            }
            Action::Lose(who) => self.clients[who].request = Request::None,
            Action::Judge(who) => {
                if let Request::Sent(token) = self.clients[who].request {
                    self.arrive(who, token, server);
                }
            }
            Action::Write(who) => self.write(who, server),
            Action::Refuse(who) => {
                if let Request::Judged {
                    token,
                    write,
                    never,
                    ..
                } = self.clients[who].request
                {
                    match write {
                        // 503: neither accepted nor signed out.
                        Write::Theft => self.clients[who].request = Request::None,
                        _ => self.accept(who, token, never, None, None),
                    }
                }
            }
            Action::Tell(who) => self.tell(who, server),
            Action::Receive(who) => {
                if let Request::Answered(successor) = self.clients[who].request {
                    self.clients[who].request = Request::None;
                    let holders = match (who, one_jar) {
                        (THIEF, _) | (_, false) => who..who + 1,
                        (_, true) => 0..THIEF,
                    };
                    for holder in &mut self.clients[holders] {
                        holder.token = Some(successor);
                    }
                }
            }
            Action::Copy(whose) => self.clients[THIEF].token = self.clients[whose].token,
            Action::End => {
                if self.row.ended.is_none() {
                    self.row.ended = Some(End::Administrator);
                    self.end_untold = true;
                }
            }
            Action::TellEnd => {
                self.end_untold = false;
                self.tell_cache(self.row, server);
            }
            Action::Forget => self.cache = None,
            Action::Crash => {
                (self.cache, self.floor) = (None, None);
                self.end_untold = false;
                for client in &mut self.clients {
                    if matches!(
                        client.request,
                        Request::Judged { .. } | Request::Written { .. }
                    ) {
                        client.request = Request::None;
                    }
                }
            }
        }
        if before.ended.is_some() && self.row.ended != before.ended {
            self.broken = Some(Claim::EndStays);
        } else if before.generation > self.row.generation {
            self.broken = Some(Claim::OneSuccessor);
        }
        self.merge_equals();
    }

    /// Makes one state of those from which the same things can follow.
    fn merge_equals(&mut self) {
        // Which of the honest clients is which makes no difference.
        self.clients[..THIEF].sort_unstable();
        let untold = self.end_untold
            || self
                .clients
                .iter()
                .any(|client| matches!(client.request, Request::Written { .. }));
        if !untold {
            // Whatever the cache will be told is newer than all that it was told, and an entry that is as
            // stored is as good as none.
            self.floor = None;
            self.cache = self.cache.filter(|cached| *cached != self.row);
        }
        if self.row.ended.is_some() {
            // Whose fault it was has been decided by the step that ended the session.
            self.excused = true;
            self.first_use = Default::default();
        }
    }

    /// A request arrives: what may not become of it is clear from now on.
    fn arrive(&mut self, who: usize, token: u8, server: Server) {
        let end_told = self.row.ended.is_some()
            && !self.end_untold
            && !self.clients.iter().any(|client| {
                matches!(client.request, Request::Written { row, .. } if row.ended.is_some())
            });
        let successor_used = self.first_use.get(usize::from(token) + 1);
        let stale = matches!(successor_used, Some(Some(used)) if self.now > used + 1);
        let lives = self.row.ended.is_none() && self.now < LIMIT;
        let never = if end_told {
            Some(Claim::EndStays)
        } else if self.now >= LIMIT {
            Some(Claim::LimitStays)
        } else {
            stale.then_some(Claim::StaleEnds)
        };
        self.excused |= lives && (who == THIEF || stale);
        self.judge(who, token, never, self.cache, server);
    }

    /// Judges by the cached row, if there is one, else by the stored one, which is kept in the cache.
    fn judge(
        &mut self,
        who: usize,
        token: u8,
        never: Option<Claim>,
        cached: Option<Row>,
        server: Server,
    ) {
        let fresh = cached.is_none();
        let seen = cached.unwrap_or(self.row);
        if fresh {
            self.cache = Some(seen);
        }
        if !Server::lives(&seen, self.now) {
            return self.refuse(who, never);
        }
        let verdict = server.verdict(token, &seen, self.now);
        let write = match verdict {
            Verdict::Accept | Verdict::AcceptLate => {
                return self.accept(who, token, never, None, None);
            }
            Verdict::AnswerSuccessor => {
                return self.accept(who, token, never, Some(token + 1), None);
            }
            // What is not accepted is never decided by a copy.
            Verdict::Theft | Verdict::Unknown if !fresh => {
                return self.judge(who, token, never, None, server);
            }
            Verdict::Unknown => return self.refuse(who, never),
            Verdict::AcceptFirstUse => Write::FirstUse,
            Verdict::Rotate => Write::Rotation,
            Verdict::Theft => Write::Theft,
        };
        self.clients[who].request = Request::Judged {
            token,
            write,
            seen,
            at: self.now,
            never,
        };
    }

    /// The conditional update of a judgement. Where somebody else was first, the stored row is judged.
    fn write(&mut self, who: usize, server: Server) {
        let Request::Judged {
            token,
            write,
            seen,
            at,
            never,
        } = self.clients[who].request
        else {
            return;
        };
        if server == Server::ReadThenWrite {
            self.row = seen;
        }
        let row = self.row;
        let unchanged = row.ended.is_none() && row.generation == seen.generation;
        match write {
            Write::FirstUse if unchanged && row.first_used.is_none() => {
                self.row.first_used = Some(at);
                let first_use = &mut self.first_use[usize::from(row.generation)];
                *first_use = first_use.or(Some(at));
                self.accept(who, token, never, None, Some(self.row));
            }
            Write::Rotation if server == Server::AnswersFirst => {
                self.clients[who].request = Request::Answered(token + 1);
                if token + 1 > self.row.generation {
                    self.broken = Some(Claim::OneSuccessor);
                }
            }
            Write::Rotation if unchanged || server == Server::RotatesBlindly => {
                self.row.generation += 1;
                self.row.first_used = None;
                if server == Server::ExtendsTheLimit {
                    self.row.limit += 1;
                }
                let successor = self.row.generation;
                self.accept(who, token, never, Some(successor), Some(self.row));
            }
            Write::Theft => {
                if row.ended.is_none() {
                    self.row.ended = Some(End::Reuse);
                }
                self.clients[who].request = Request::Written {
                    row: self.row,
                    successor: None,
                };
                self.signed_out(who);
            }
            Write::FirstUse | Write::Rotation => self.judge(who, token, never, None, server),
        }
    }

    /// The server accepts, with this successor in the answer, after it has committed this row, if any.
    fn accept(
        &mut self,
        who: usize,
        token: u8,
        never: Option<Claim>,
        successor: Option<u8>,
        committed: Option<Row>,
    ) {
        self.broken = self.broken.or(never);
        if successor.is_some_and(|next| next != token + 1 || next > self.row.generation) {
            self.broken = self.broken.or(Some(Claim::OneSuccessor));
        }
        self.clients[who].request = match (committed, successor) {
            (Some(row), _) => Request::Written { row, successor },
            (None, Some(successor)) => Request::Answered(successor),
            // Nothing in the answer that could be lost.
            (None, None) => Request::None,
        };
    }

    /// The server refuses with 401.
    fn refuse(&mut self, who: usize, never: Option<Claim>) {
        if never == Some(Claim::StaleEnds) && self.row.ended.is_none() {
            self.broken = self.broken.or(never);
        }
        self.signed_out(who);
        self.clients[who].request = Request::None;
    }

    fn signed_out(&mut self, who: usize) {
        let rightly = self.row.ended == Some(End::Administrator) || self.now >= LIMIT;
        if who != THIEF && !self.excused && !rightly {
            self.broken = self.broken.or(Some(Claim::HonestStays));
        }
    }

    fn tell(&mut self, who: usize, server: Server) {
        if let Request::Written { row, successor } = self.clients[who].request {
            self.tell_cache(row, server);
            self.clients[who].request = successor.map_or(Request::None, Request::Answered);
        }
    }

    /// Writes a committed row through, as `SessionCache` does: nothing takes the place of what is newer.
    fn tell_cache(&mut self, row: Row, server: Server) {
        if row.ended.is_some() {
            if server != Server::LeavesTheCacheAlone {
                (self.cache, self.floor) = (None, Some(row));
            }
            return;
        }
        let floor = self
            .floor
            .filter(|floor| server != Server::TellsOldNews || floor.ended.is_some());
        if floor.max(self.cache) <= Some(row) {
            (self.cache, self.floor) = (Some(row), Some(row));
        }
    }
}
