//! Two mirrors as one: the workbook beside the sheet. Each is written whatever becomes of the other.

use std::sync::Arc;

use async_trait::async_trait;

use crate::fault::AnyFault;
use crate::ports::{Mirror, MirrorOutcome, Projection, Shown};

/// Two mirrors of one store.
pub struct Both {
    /// Written first: it is on this machine.
    pub near: Arc<dyn Mirror>,
    /// Its fault goes before the other's, and its address is the one that people are told first.
    pub far: Arc<dyn Mirror>,
}

#[async_trait]
impl Mirror for Both {
    async fn write(&self, projection: &Projection, shown: &Shown) -> Result<MirrorOutcome, AnyFault> {
        let near = self.near.write(projection, shown).await;
        let far = self.far.write(projection, shown).await?;
        let location = format!("{} and {}", far.location, near?.location);
        Ok(MirrorOutcome { location, ..far })
    }

    /// The near one's files are looked at themselves.
    fn target(&self) -> &str {
        self.far.target()
    }
}
