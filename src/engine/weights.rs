//! Weights that change while the process runs: what balancing then makes of them, and backends left without a server.
//!
//! Source: management manual, `set weight`; configuration manual, `weight`.

use super::core::Core;
use crate::model::ids::{ProxyId, ServerId};
use crate::model::state::Health;
use crate::policy::log::syslog::Level;

impl Core {
    /// A server weighs otherwise: its backend balances by that from now on.
    pub(crate) fn note_weight(&mut self, server: ServerId) {
        let backend = self.config.server(server).proxy;
        let numbers = self.state.server(server);
        let (weight, usable) = (numbers.weight, numbers.health == Health::Up);
        let Some(Some(balancer)) = self.balancers.get_mut(backend.index()) else {
            return;
        };
        let had_servers = balancer.is_up();
        balancer.set(server, weight, usable);
        match (had_servers, balancer.is_up()) {
            (true, false) => self.backend_down(backend),
            (false, true) => self.backend_up(backend),
            _ => {}
        }
    }

    fn backend_down(&mut self, backend: ProxyId) {
        let now = self.now();
        let numbers = self.state.proxy_mut(backend);
        numbers.last_change_at = now;
        numbers.counters.be.down_transitions += 1;
        let proxy = self.config.proxy(backend);
        let kind = if proxy.caps.frontend { "proxy" } else { "backend" };
        log::error!("{kind} '{}' has no server available!", proxy.name);
        let text = format!("{kind} {} has no server available!", proxy.name);
        self.log_message(backend, Level::Emerg, &text);
    }

    fn backend_up(&mut self, backend: ProxyId) {
        let now = self.now();
        let numbers = self.state.proxy_mut(backend);
        numbers.counters.be.down_s += now.ms_since(numbers.last_change_at) / 1000;
        numbers.last_change_at = now;
    }
}
