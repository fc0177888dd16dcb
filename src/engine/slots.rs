//! Slots of servers: taken, freed, and handed to those who wait for one.
//!
//! A freed slot goes to the older of those that wait for this server and those that wait for any of its backend;
//! it is counted as taken before the stream that gets it runs. Source: configuration manual, `maxconn`, `minconn`,
//! `maxqueue`.

use super::core::{Core, Granted, Wake};
use crate::model::ids::{ProxyId, ServerId};
use crate::policy::lb::Load;
use crate::policy::queue::Place;

impl Core {
    /// Takes a slot of a server.
    pub(crate) fn take_slot(&mut self, server: ServerId) {
        let backend = self.config.server(server).proxy;
        self.state.server_mut(server).served += 1;
        self.state.proxy_mut(backend).served += 1;
        self.note_load(server);
    }

    /// Frees a slot of a server and hands it, and any other that is free, to those who wait.
    pub(crate) fn free_slot(&mut self, server: ServerId) {
        let backend = self.config.server(server).proxy;
        let numbers = self.state.server_mut(server);
        numbers.served = numbers.served.saturating_sub(1);
        let proxy = self.state.proxy_mut(backend);
        proxy.served = proxy.served.saturating_sub(1);
        self.note_load(server);
        self.serve_queues(server, backend);
    }

    /// Hands free slots of a server to the streams that wait for it or for any.
    pub(crate) fn serve_queues(&mut self, server: ServerId, backend: ProxyId) {
        loop {
            let numbers = self.state.server(server);
            let waiting = numbers.queued > 0 || self.state.proxy(backend).queued > 0;
            if !waiting {
                return;
            }
            let load = Load::of(&self.config, &self.state, server, self.now());
            if load.limit > 0 && load.served >= load.limit {
                return;
            }
            let serves = self
                .balancers
                .get(backend.index())
                .and_then(Option::as_ref)
                .is_some_and(|b| b.serves_backend(server));
            let Some(departure) = self.queues.take_next(server, backend, serves) else {
                return;
            };
            self.note_queue(departure.place);
            self.take_slot(server);
            self.wake(departure.key, Wake::Granted(Granted { server, departure }));
        }
    }

    /// Usable servers of a backend: active ones, backups.
    pub(crate) fn usable_servers(&self, backend: ProxyId) -> (u32, u32) {
        let balancer = self.balancers.get(backend.index()).and_then(Option::as_ref);
        balancer.map_or((0, 0), |balancer| (balancer.active(), balancer.backups()))
    }

    /// Tells the balancer how busy a server is.
    fn note_load(&mut self, server: ServerId) {
        let backend = self.config.server(server).proxy;
        let numbers = self.state.server(server);
        let in_flight = numbers.served + numbers.queued;
        if let Some(Some(balancer)) = self.balancers.get_mut(backend.index()) {
            balancer.on_load(server, in_flight);
        }
    }

    /// Brings the numbers of a queue up to date.
    pub(crate) fn note_queue(&mut self, place: Place) {
        let length = u32::try_from(self.queues.len(place)).unwrap_or(u32::MAX);
        match place {
            Place::Server(server) => {
                let numbers = self.state.server_mut(server);
                numbers.queued = length;
                numbers.counters.queue_max = numbers.counters.queue_max.max(length);
                self.note_load(server);
            }
            Place::Backend(backend) => {
                let numbers = self.state.proxy_mut(backend);
                numbers.queued = length;
                numbers.counters.be.queue_max = numbers.counters.be.queue_max.max(length);
            }
        }
    }
}
