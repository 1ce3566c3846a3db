//! What people see of a process: the status page, and the control socket.

use std::sync::Arc;

use super::backbone::DATABASE;
use super::{App, VERSION};
use crate::collect::spool::FILE as SPOOL;
use crate::domain::AccountId;
use crate::fault::AnyFault;
use crate::lifecycle::data_dir::Databases;
use crate::lifecycle::{LifecycleError, Room, data_dir};
use crate::mirror::google;
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::HttpListening;
use crate::web::control::{Control, ControlSocket};
use crate::web::{self, WebState};

impl App {
    /// Starts the web server; it listens when this returns.
    ///
    /// # Errors
    /// `http-address-unusable`.
    pub async fn start_web(&self) -> Result<std::net::SocketAddr, AnyFault> {
        let listener = web::bind(self.config.http_addr).await?;
        let address = listener.local_addr().unwrap_or(self.config.http_addr);
        let state = self.web_state();
        let (stop, counters) = (self.lifecycle.soft.clone(), self.counters.clone());
        self.lifecycle.spawn("web", async move {
            HttpListening { addr: address }.emit(&counters);
            if let Err(error) = web::serve(listener, state, stop).await {
                tracing::error!(error.reason = %error, "the web server ended");
            }
        });
        Ok(address)
    }

    /// Takes orders at the control socket from now on. `expected`: the accounts that this process collects.
    ///
    /// # Errors
    /// `data-dir-unusable`.
    pub fn start_control(&self, expected: Vec<AccountId>) -> Result<(), AnyFault> {
        let socket = ControlSocket::bind(self.data_dir.path())?;
        let control = Control::new(self.web_state(), self.desk.clone(), expected);
        let stop = self.lifecycle.soft.clone();
        self.lifecycle.spawn("control", async move { control.serve(socket, stop).await });
        Ok(())
    }

    pub(super) fn web_state(&self) -> WebState {
        let path = self.data_dir.path().to_owned();
        let counters = self.counters.clone();
        let room = move || {
            let broken = |source| LifecycleError::DataDir { path: path.clone(), source };
            let room = Room::of(&path).map_err(broken)?;
            counters.disk_has(room.free);
            data_dir::check_writable(&path).map_err(broken)?;
            if room.is_short() {
                let (free, floor) = (room.free, room.floor);
                return Err(LifecycleError::DiskFull { path: path.clone(), free, floor }.into());
            }
            Databases::of(&path, &[("chatferry", DATABASE), ("spool", SPOOL)]).map_err(|error| broken(error).into())
        };
        WebState {
            store: self.store.clone(),
            budgets: self.backbone.records.budgets.clone(),
            limits: self.config.budgets,
            bus: self.bus.clone(),
            spool: self.spool.clone(),
            counters: self.counters.clone(),
            clock: self.clock.clone(),
            writable: Arc::new(room),
            started: self.clock.now(),
            version: VERSION,
            workbook: self.config.mirror.workbook.then(|| self.workbook()),
            sheet: self.config.mirror.sheet.as_ref().map(|sheet| google::address(&sheet.sheet_id)),
            packs: self.board.clone(),
            mirror: self.mirror_state.subscribe(),
        }
    }
}
