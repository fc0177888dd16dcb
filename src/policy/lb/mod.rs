//! Load balancing: which server of a backend takes the next stream (`balance`).
//!
//! A [`Balancer`] holds the state of one backend's algorithm. It learns of weights and availability by
//! [`Balancer::set`], of load by [`Balancer::on_load`], and looks at the load of those it considers through a
//! function of the caller. Orders and shares are those of HAProxy 3.4.0. Nothing is allocated when picking.
//! Source: configuration manual, "balance", "option allbackups", "weight", "maxconn".

mod first;
mod heap;
mod leastconn;
mod random;
mod roster;
mod rr;
mod static_rr;

use crate::base::freq::SECOND_MS;
use crate::base::rng::Rng;
use crate::base::ticks::Ticks;
use crate::model::config::Config;
use crate::model::ids::{ProxyId, ServerId};
use crate::model::proxy::Balance;
use crate::model::state::{Health, State};
use crate::policy::queue;
use roster::{Roster, Side};

/// Effective weight of one unit of weight, so that it can be lowered in steps.
pub const WEIGHT_SCALE: u32 = 16;
/// The highest weight.
const UWEIGHT_RANGE: u32 = 256;
/// The highest effective weight.
const EWEIGHT_MAX: u32 = UWEIGHT_RANGE * WEIGHT_SCALE;

/// A server as its backend's balancer is told of it.
#[derive(Clone, Copy, Debug)]
pub struct LbServer {
    /// Its id.
    pub id: ServerId,
    /// Its user-visible number.
    pub puid: u32,
    /// `weight`, 0 to 256.
    pub weight: u32,
    /// `backup`.
    pub backup: bool,
    /// It may take traffic.
    pub usable: bool,
}

/// How busy a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Streams that hold a slot of it.
    pub served: u32,
    /// Streams waiting in its queue.
    pub queued: u32,
    /// How many it may serve at present, `maxconn` or less; 0 for no limit.
    pub limit: u32,
    /// `maxqueue`.
    pub max_queue: u32,
    /// Streams assigned to it per second.
    pub session_rate: u32,
}

impl Load {
    /// The load of a server now. `be_conns` are the streams of its backend, as is `fullconn` its limit.
    #[must_use]
    pub fn of(config: &Config, state: &State, id: ServerId, now: Ticks) -> Self {
        let server = config.server(id);
        let living = state.server(id);
        let (maxconn, minconn) = match living.maxconn {
            None => (server.maxconn, server.minconn),
            // A limit that does not follow the load stays so.
            Some(maxconn) if server.minconn == 0 || server.minconn >= server.maxconn => (maxconn, 0),
            Some(maxconn) => (maxconn, server.minconn),
        };
        let limit = queue::dynamic_maxconn(
            maxconn,
            minconn,
            state.proxy(server.proxy).be_conns,
            state.proxy(server.proxy).fullconn,
        );
        Self {
            served: living.served,
            queued: living.queued,
            limit,
            max_queue: server.maxqueue,
            session_rate: living.sess_rate.rate(now, SECOND_MS),
        }
    }

    /// Whether a stream could be served at once.
    #[must_use]
    pub fn has_free_slot(&self) -> bool {
        self.limit == 0 || (self.queued == 0 && self.served < self.limit)
    }

    /// Whether a stream could be served at once or wait in a queue of limited length.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let in_flight = u64::from(self.served) + u64::from(self.queued);
        self.limit == 0 || in_flight < u64::from(self.limit) + u64::from(self.max_queue)
    }
}

/// How busy a backend is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendLoad {
    /// Streams served by its servers.
    pub served: u32,
    /// Streams waiting in its own queue.
    pub queued: u32,
    /// Streams that are in it, waiting or not.
    pub conns: u32,
}

/// What balancing says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// This server.
    Server(ServerId),
    /// All servers are full: wait in the backend's queue.
    Full,
    /// No server is usable.
    NoServer,
}

enum Lb {
    RoundRobin(rr::RoundRobin),
    StaticRr(static_rr::StaticRr),
    LeastConn(leastconn::LeastConn),
    First(first::First),
    Random(random::Random),
}

/// The balancing state of one backend.
pub struct Balancer {
    roster: Roster,
    lb: Lb,
    rng: Rng,
    /// Weights of a static map are divided by this.
    divisor: u32,
    /// Weights of the configuration, which a static map keeps.
    weights: Vec<u32>,
}

impl Balancer {
    /// A balancer over `servers`, in order of declaration. `seed` starts the draws of `random` and the order of
    /// ties in `leastconn`.
    #[must_use]
    pub fn new(balance: Balance, allbackups: bool, servers: &[LbServer], seed: u64) -> Self {
        let divisor = servers
            .iter()
            .fold(0, |divisor, server| common_divisor(divisor, server.weight))
            .max(1);
        let scaled = servers.iter().map(|server| {
            let weight = server.weight.min(UWEIGHT_RANGE);
            let is_static = matches!(balance, Balance::StaticRr);
            (
                *server,
                if is_static {
                    weight / divisor
                } else {
                    weight * WEIGHT_SCALE
                },
            )
        });
        let roster = Roster::new(scaled, allbackups);
        let mut rng = Rng::new(seed);
        let lb = match balance {
            Balance::RoundRobin => Lb::RoundRobin(rr::RoundRobin::new(&roster)),
            Balance::StaticRr => Lb::StaticRr(static_rr::StaticRr::new(&roster)),
            Balance::LeastConn => Lb::LeastConn(leastconn::LeastConn::new(&roster, &mut rng)),
            Balance::First => Lb::First(first::First::new(&roster)),
            Balance::Random(draws) => Lb::Random(random::Random::new(&roster, draws)),
        };
        let weights = servers
            .iter()
            .map(|server| server.weight.min(UWEIGHT_RANGE))
            .collect();
        Self {
            roster,
            lb,
            rng,
            divisor,
            weights,
        }
    }

    /// The balancer of a backend, with the weights and states that its servers have now.
    #[must_use]
    pub fn of(config: &Config, state: &State, id: ProxyId, seed: u64) -> Self {
        let proxy = config.proxy(id);
        let servers: Vec<LbServer> = proxy
            .servers
            .iter()
            .map(|&id| {
                let server = config.server(id);
                let living = state.server(id);
                LbServer {
                    id,
                    puid: server.puid,
                    weight: living.weight,
                    backup: server.backup,
                    usable: living.health == Health::Up,
                }
            })
            .collect();
        Self::new(proxy.balance, proxy.options.allbackups, &servers, seed)
    }

    /// A server's weight (0 to 256) or availability has changed. A static map keeps the configured weights and
    /// only hears of availability; weight 0 is none.
    pub fn set(&mut self, id: ServerId, weight: u32, usable: bool) {
        let Some(server) = self.roster.position(id) else {
            return;
        };
        let eweight = match &self.lb {
            _ if !usable || weight == 0 => 0,
            Lb::StaticRr(_) => self.weights[server as usize] / self.divisor,
            _ => weight.min(UWEIGHT_RANGE) * WEIGHT_SCALE,
        };
        if self.roster.set(server, eweight) == eweight {
            return;
        }
        match &mut self.lb {
            Lb::RoundRobin(lb) => lb.on_change(&self.roster, server),
            Lb::StaticRr(lb) => lb.on_change(&self.roster),
            Lb::LeastConn(lb) => lb.on_change(&self.roster, server, &mut self.rng),
            Lb::First(_) => {}
            Lb::Random(lb) => lb.on_change(&self.roster, server),
        }
    }

    /// A server has so many streams in flight now, served and waiting. To be told after each change.
    pub fn on_load(&mut self, id: ServerId, in_flight: u32) {
        if let (Lb::LeastConn(lb), Some(server)) = (&mut self.lb, self.roster.position(id)) {
            lb.on_load(&self.roster, server, in_flight, &mut self.rng);
        }
    }

    /// The server for the next stream, preferably another than `avoid`, where it failed before.
    pub fn pick(
        &mut self,
        backend: BackendLoad,
        avoid: Option<ServerId>,
        load: impl Fn(ServerId) -> Load,
    ) -> Pick {
        if self.roster.side() == Side::Nobody {
            return Pick::NoServer;
        }
        if self.queue_means_full()
            && backend.queued > 0
            && backend.served > 0
            && backend.queued != backend.conns
        {
            return Pick::Full;
        }
        let avoid = avoid.and_then(|id| self.roster.position(id));
        let picked = match &mut self.lb {
            Lb::RoundRobin(lb) => lb.pick(&self.roster, avoid, &load),
            Lb::StaticRr(lb) => lb.pick(&self.roster, avoid, &load),
            Lb::LeastConn(lb) => lb.pick(&self.roster, avoid, &load, &mut self.rng),
            Lb::First(lb) => lb.pick(&self.roster, avoid, &load),
            Lb::Random(lb) => lb.pick(&self.roster, avoid, &load, &mut self.rng),
        };
        picked.map_or(Pick::Full, |server| Pick::Server(self.roster.member(server).id))
    }

    /// These algorithms try every server before a stream waits in the backend's queue: as long as some wait,
    /// there is no use in trying again, and newcomers do not overtake.
    fn queue_means_full(&self) -> bool {
        matches!(self.lb, Lb::RoundRobin(_) | Lb::StaticRr(_) | Lb::First(_))
    }

    /// Whether a server may take streams from the backend's queue: it is usable, and if it is a backup, no
    /// active server is and its turn has come.
    #[must_use]
    pub fn serves_backend(&self, id: ServerId) -> bool {
        self.roster
            .position(id)
            .is_some_and(|server| self.roster.serves_backend(server))
    }

    /// Usable active servers (`act`).
    #[must_use]
    pub fn active(&self) -> u32 {
        self.roster.active()
    }

    /// Usable backup servers (`bck`).
    #[must_use]
    pub fn backups(&self) -> u32 {
        self.roster.backups()
    }

    /// Whether any server is usable.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.active() + self.backups() > 0
    }
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
