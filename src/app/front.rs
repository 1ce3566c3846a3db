//! The listeners of a daemon: open before its servers are found, and the same ones afterwards.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{App, Role, VERSION};
use crate::config::Config;
use crate::fault::AnyFault;
use crate::lifecycle::Lifecycle;
use crate::telemetry::occurrences::HttpListening;
use crate::telemetry::{Counters, Occurrence};
use crate::web::{self, Door, Face};

/// The open listeners.
#[derive(Debug)]
pub struct Front {
    face: Face,
    addresses: Vec<SocketAddr>,
    is_told: AtomicBool,
}

impl Front {
    /// Opens what these roles and settings ask for, and answers there from now on.
    ///
    /// # Errors
    /// `http-address-unusable`; then none is open.
    pub async fn open(config: &Config, roles: &[Role], lifecycle: &Lifecycle) -> Result<Self, AnyFault> {
        let page = roles.contains(&Role::Web).then_some((Door::Page, "web", config.http_addr));
        let monitoring = config.metrics_addr.map(|addr| (Door::Monitoring, "metrics", addr));
        let mut listeners = Vec::new();
        for (door, name, addr) in page.into_iter().chain(monitoring) {
            listeners.push((door, name, web::bind(addr).await?));
        }
        let face = Face::new(VERSION);
        let mut addresses = Vec::new();
        for (door, name, listener) in listeners {
            addresses.extend(listener.local_addr());
            let (face, stop) = (face.clone(), lifecycle.soft.clone());
            lifecycle.spawn(name, async move {
                if let Err(error) = web::answer(listener, door, face, stop).await {
                    tracing::error!(error.reason = %error, "the web server ended");
                }
            });
        }
        Ok(Self { face, addresses, is_told: AtomicBool::new(false) })
    }

    /// The daemon can't begin yet, because of this.
    pub fn waits_for(&self, fault: &AnyFault) {
        self.face.waits_for(fault);
        self.tell(&Counters::default());
    }

    /// Shows all of this from now on.
    pub fn show(&self, app: &App) {
        self.face.show(app.web_state());
        self.tell(&app.counters);
    }

    /// Says once where we listen: whoever reads it may ask for everything at once, unless the daemon waits.
    fn tell(&self, counters: &Counters) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.addresses.iter().for_each(|addr| HttpListening { addr: *addr }.emit(counters));
        }
    }
}
