//! What happens to selector packs while the daemon runs. Target: `chatferry::selectors`.

use tracing::{error, info, warn};

use super::Occurrence;
use crate::domain::{AccountId, SiteId};
use crate::fault::{AnyFault, Code};
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// An edited pack matched the account's page and is used from now on.
#[derive(Debug)]
pub struct PackPromoted<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// The version before.
    pub from: &'o str,
    /// The version now.
    pub to: &'o str,
    /// What kept the account from being collected with the version before.
    pub mends: Option<Code>,
    /// It wants another time zone, language or address than the one before.
    pub other_place: bool,
}

impl Occurrence for PackPromoted<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, from, to, mends, other_place } = self;
        add(&counters.packs_promoted, 1);
        let mends = mends.map(Code::as_str);
        info!(
            target: "chatferry::selectors",
            { account.id = %account, pack.from = from, pack.hash = to, pack.mends = mends, pack.other_place = other_place },
            "pack promoted"
        );
    }
}

/// An edited pack was not taken; the one in use stays.
#[derive(Debug)]
pub struct PackRefused<'o> {
    /// Which site.
    pub site: &'o SiteId,
    /// On which account's page it was tried; `None` if it could not even be read.
    pub account: Option<&'o AccountId>,
    /// Its version.
    pub hash: &'o str,
    /// The version that stays.
    pub active: Option<&'o str>,
    /// The queries and what is wrong with them, without anything that a page says.
    pub reasons: &'o [String],
}

impl Occurrence for PackRefused<'_> {
    fn emit(self, counters: &Counters) {
        let Self { site, account, hash, active, reasons } = self;
        add(&counters.packs_refused, 1);
        let (account, reason) = (account.map(ToString::to_string), reasons.join("; "));
        warn!(
            target: "chatferry::selectors",
            {
                site.id = %site, account.id = account, pack.hash = hash, pack.active = active, reason,
                error.code = Code::PackRefused.as_str(), action = Code::PackRefused.action(),
            },
            "pack refused"
        );
    }
}

/// The pack in the folder can't be used; the last one that was stands in for it.
#[derive(Debug)]
pub struct PackStoodIn<'o> {
    /// Which site.
    pub site: &'o SiteId,
    /// The version that stands in.
    pub active: &'o str,
    /// Why the one in the folder can't be used.
    pub reason: &'o str,
}

impl Occurrence for PackStoodIn<'_> {
    fn emit(self, counters: &Counters) {
        let Self { site, active, reason } = self;
        add(&counters.packs_refused, 1);
        error!(
            target: "chatferry::selectors",
            {
                site.id = %site, pack.active = active, reason, error.code = Code::PackRefused.as_str(),
                action = Code::PackRefused.action(),
            },
            "an earlier version stands in for a pack"
        );
    }
}

/// The folder of packs is not there, or is not watched: edits are noticed late or not at all.
#[derive(Debug)]
pub struct PackFolderAway<'o> {
    /// What is so, in words.
    pub reason: &'o str,
    /// True if it is there again.
    pub is_back: bool,
}

impl Occurrence for PackFolderAway<'_> {
    fn emit(self, _: &Counters) {
        if self.is_back {
            info!(target: "chatferry::selectors", { reason = self.reason }, "the folder of packs is watched");
        } else {
            warn!(target: "chatferry::selectors", { reason = self.reason }, "the folder of packs is not watched");
        }
    }
}

/// Versions of packs could not be remembered. What is in use stays in use.
#[derive(Debug)]
pub struct PacksUnkept<'o> {
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for PacksUnkept<'_> {
    fn emit(self, _: &Counters) {
        let (code, reason) = (self.fault.code().as_str(), self.fault.chain());
        warn!(target: "chatferry::selectors", { error.code = code, reason }, "versions of packs were not kept");
    }
}
