//! The floor: a relay that parses nothing. One client connection, one server connection, what comes from one goes to
//! the other: one receive and one send per message and direction, which no proxy that copies can do with less.
//!
//! With `--exchange` the server connections are kept and lent to one client after the other, and a client is closed
//! after the first answer that fits into one receive: the floor of a connection per request.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::sockets;

/// Bytes of one receive.
const BUFFER: usize = 64 * 1024;
const LISTENER: Token = Token(usize::MAX);
const CLIENT: usize = 0;
const SERVER: usize = 1;

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) origins: Vec<SocketAddr>,
    pub(crate) exchange: bool,
    /// MPTCP towards clients, towards servers.
    pub(crate) mptcp: [bool; 2],
}

/// One relay; its place gives the tokens `2 * place` (client) and `2 * place + 1` (server).
struct Pair {
    sides: [Option<TcpStream>; 2],
    /// Bytes that the side with this index has not taken yet; nothing is read from the other meanwhile.
    stuck: [VecDeque<u8>; 2],
    /// Whether the end of this side was told, which happens once, while bytes may stand before it.
    ended: [bool; 2],
}

struct Relay {
    poll: Poll,
    listener: TcpListener,
    options: Options,
    pairs: Vec<Pair>,
    free: Vec<usize>,
    /// Pairs with a server connection and no client.
    idle: Vec<usize>,
    turn: usize,
    buffer: Vec<u8>,
    /// Sides with more to read than one receive took. They get their turn after the others: draining one side while
    /// its sender still writes would make this process do the sender's work in the kernel.
    more: Vec<(usize, usize)>,
}

/// Relays until the process is ended.
pub(crate) fn run(options: Options) -> io::Result<()> {
    let mut listener = sockets::listen(options.listen, options.mptcp[CLIENT])?;
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut relay = Relay {
        poll,
        listener,
        options,
        pairs: Vec::new(),
        free: Vec::new(),
        idle: Vec::new(),
        turn: 0,
        buffer: vec![0; BUFFER],
        more: Vec::new(),
    };
    let mut events = Events::with_capacity(256);
    let mut again = Vec::new();
    loop {
        let wait = (!relay.more.is_empty()).then_some(Duration::ZERO);
        match relay.poll.poll(&mut events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            done => done?,
        }
        std::mem::swap(&mut again, &mut relay.more);
        for event in &events {
            if event.token() == LISTENER {
                relay.accept();
                continue;
            }
            let (place, side) = (event.token().0 / 2, event.token().0 % 2);
            let mut open = true;
            if let Some(pair) = relay.pairs.get_mut(place).filter(|_| event.is_read_closed()) {
                pair.ended[side] = true;
            }
            if event.is_writable() && relay.is_stuck(place, side) {
                open = relay.unstick(place, side) && relay.pump(place, 1 - side);
            }
            if open && (event.is_readable() || event.is_error()) {
                open = relay.pump(place, side);
            }
            if !open {
                relay.close(place);
            }
        }
        for (place, side) in again.drain(..) {
            if !relay.pump(place, side) {
                relay.close(place);
            }
        }
    }
}

impl Relay {
    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((client, _)) => {
                    if let Err(error) = self.pair(client) {
                        eprintln!("null: {error}");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A client that left before it was accepted, or no descriptor: others may follow.
                Err(error) => {
                    eprintln!("null: accept: {error}");
                    if error.kind() != ErrorKind::ConnectionAborted {
                        return;
                    }
                }
            }
        }
    }

    /// Gives a client its server connection.
    fn pair(&mut self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Some(place) = self.idle.pop() {
            self.poll
                .registry()
                .register(&mut client, Token(2 * place), both)?;
            self.pairs[place].sides[CLIENT] = Some(client);
            return Ok(());
        }
        let origin = self.options.origins[self.turn % self.options.origins.len()];
        self.turn += 1;
        let mut server = sockets::connect(origin, self.options.mptcp[SERVER])?;
        let place = self.free.pop().unwrap_or(self.pairs.len());
        let registry = self.poll.registry();
        registry.register(&mut client, Token(2 * place), both)?;
        registry.register(&mut server, Token(2 * place + 1), both)?;
        let pair = Pair {
            sides: [Some(client), Some(server)],
            stuck: Default::default(),
            ended: [false; 2],
        };
        if place == self.pairs.len() {
            self.pairs.push(pair);
        } else {
            self.pairs[place] = pair;
        }
        Ok(())
    }

    fn is_stuck(&self, place: usize, side: usize) -> bool {
        self.pairs
            .get(place)
            .is_some_and(|pair| !pair.stuck[side].is_empty())
    }

    /// Sends what `side` did not take; `false` when the pair is at its end.
    fn unstick(&mut self, place: usize, side: usize) -> bool {
        let pair = &mut self.pairs[place];
        let Some(stream) = &mut pair.sides[side] else {
            return true;
        };
        while !pair.stuck[side].is_empty() {
            match stream.write(pair.stuck[side].as_slices().0) {
                Ok(sent) => drop(pair.stuck[side].drain(..sent)),
                Err(error) if waits(&error) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Moves what one receive from side `from` gives to the other one; `false` when the pair is at its end.
    fn pump(&mut self, place: usize, from: usize) -> bool {
        let Some(pair) = self.pairs.get_mut(place) else {
            return true;
        };
        let to = 1 - from;
        if !pair.stuck[to].is_empty() {
            return true;
        }
        let [client, server] = &mut pair.sides;
        let (source, sink) = if from == CLIENT {
            (client, server)
        } else {
            (server, client)
        };
        let Some(source) = source else {
            return true;
        };
        let length = match source.read(&mut self.buffer) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        // A server that speaks without a client has nothing to say.
        let Some(sink) = sink else {
            return false;
        };
        let sent = match sink.write(&self.buffer[..length]) {
            Ok(sent) => sent,
            Err(error) if waits(&error) => 0,
            Err(_) => return false,
        };
        if sent < length {
            pair.stuck[to].extend(&self.buffer[sent..length]);
        } else if self.options.exchange && from == SERVER {
            pair.sides[CLIENT] = None;
            self.idle.push(place);
            pair.ended[CLIENT] = false;
        } else if length == self.buffer.len() || pair.ended[from] {
            // Edges: a full buffer may have left something behind, a partial one has not.
            self.more.push((place, from));
        }
        true
    }

    fn close(&mut self, place: usize) {
        let pair = &mut self.pairs[place];
        if pair.sides.iter().all(Option::is_none) {
            return;
        }
        pair.sides = [None, None];
        pair.stuck = Default::default();
        self.idle.retain(|idle| *idle != place);
        self.free.push(place);
    }
}

/// Whether a send has to wait: for room, or for the connection to stand.
fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
