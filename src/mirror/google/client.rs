//! The four requests that the mirror makes, each with what the typed client lacks.
//!
//! | the client | here |
//! |---|---|
//! | asks for the whole Drive unless told otherwise | `.clear_scopes().add_scope(Scope::Spreadsheet)` on every call |
//! | keeps a token that is refused | [`Tokens::renew`] and one more attempt on 401 |
//! | has no timeout | each call within [`Limits::timeout`] |
//! | puts the range of `values.get` and its kin into the path unencoded | only `values:batchGet` and `values:batchUpdate` |
//! | deletes nulls from arrays | no null is ever sent ([`super::value`]) |
//! | errors print whole bodies | they end in [`super::answer`] |
//! | `values.append` is not idempotent | not used |
//!
//! Nothing is repeated here but for the 401: whether to try again is decided above, after a new read.

use google_sheets4::api::{
    BatchUpdateSpreadsheetRequest, BatchUpdateValuesRequest, Request, Scope, Spreadsheet, ValueRange,
};
use google_sheets4::common::{Client as HttpClient, Response};
use google_sheets4::hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use google_sheets4::hyper_util::client::legacy::Client as LegacyClient;
use google_sheets4::hyper_util::client::legacy::connect::HttpConnector;
use google_sheets4::hyper_util::rt::TokioExecutor;
use google_sheets4::{Error as GoogleError, Sheets, hyper};
use jiff::Timestamp;
use tokio::time::timeout;

use super::answer::{self, Verdict, Witness};
use super::error::{KeyTrouble, SheetError, Step};
use super::gate::{Bucket, Limits};
use super::plan::Update;
use super::tokens::{self, Tokens};
use crate::config::GoogleSettings;

/// What of a spreadsheet is looked at: its tabs, and the formats that set-up must not make twice.
const FIELDS: &str = "spreadsheetId,sheets(properties(sheetId,title,index,gridProperties(rowCount,columnCount,frozenRowCount)),\
                      bandedRanges(bandedRangeId,range),conditionalFormats(ranges,booleanRule(condition)),basicFilter(range))";

/// A clock may be off by so much before anybody is told; Google itself takes a little more.
const TOLERANCE: i64 = 5 * 60;

/// How cells are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Render {
    /// Column by column, formulas as they were typed.
    Columns,
    /// Row by row, values as they are.
    Rows,
}

/// The client for one spreadsheet.
pub(super) struct Client {
    hub: Sheets<HttpsConnector<HttpConnector>>,
    tokens: Tokens,
    settings: GoogleSettings,
    limits: Limits,
    reads: Bucket,
    writes: Bucket,
}

/// One request with all that it needs around it; `$call` is made anew for a second attempt.
macro_rules! ask {
    ($client:ident, $step:expr, $call:expr) => {{
        let mut renewed = false;
        loop {
            $client.turn($step).await;
            let mut witness = Witness::default();
            let call = $call.clear_scopes().add_scope(Scope::Spreadsheet).delegate(&mut witness);
            let answered = timeout($client.limits.timeout, call.doit()).await;
            match $client.judge($step, answered, &witness) {
                Ok(answer) => break Ok(answer),
                Err(Verdict::Unauthorized) if !renewed => {
                    renewed = true;
                    if let Err(error) = $client.tokens.renew().await {
                        break Err(error);
                    }
                }
                Err(Verdict::Unauthorized) => {
                    break Err(tokens::trouble(&$client.settings.account, KeyTrouble::Token));
                }
                Err(Verdict::Error(error)) => break Err(error),
            }
        }
    }};
}

impl Client {
    /// For this sheet. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SheetError::Key`].
    pub async fn open(settings: GoogleSettings, limits: Limits) -> Result<Self, SheetError> {
        let roots = || tokens::trouble(&settings.account, KeyTrouble::NoCertificates);
        let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|_| roots())?;
        // The settings let plain http through to this machine only.
        let connector = connector.https_or_http().enable_http1().enable_http2().build();
        let client: HttpClient<_> = LegacyClient::builder(TokioExecutor::new()).build(connector);
        let tokens = Tokens::open(&settings.account).await?;
        let mut hub = Sheets::new(client, tokens.clone());
        hub.base_url(settings.api.to_string());
        hub.root_url(settings.api.to_string());
        hub.user_agent(concat!("chatferry/", env!("CARGO_PKG_VERSION")).to_owned());
        let (reads, writes) = (Bucket::new(&limits), Bucket::new(&limits));
        Ok(Self { hub, tokens, settings, limits, reads, writes })
    }

    /// The settings that it was made from.
    pub const fn settings(&self) -> &GoogleSettings {
        &self.settings
    }

    /// The limits that it keeps.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The tabs.
    pub async fn tabs(&self) -> Result<Spreadsheet, SheetError> {
        let id = &self.settings.sheet_id;
        ask!(self, Step::Tabs, self.hub.spreadsheets().get(id).include_grid_data(false).param("fields", FIELDS))
    }

    /// Cells of these ranges, in this order, all of one moment.
    pub async fn read(&self, ranges: &[String], render: Render) -> Result<Vec<ValueRange>, SheetError> {
        let id = &self.settings.sheet_id;
        let (dimension, values) = match render {
            Render::Columns => ("COLUMNS", "FORMULA"),
            Render::Rows => ("ROWS", "UNFORMATTED_VALUE"),
        };
        let answer = ask!(self, Step::Read, {
            let call =
                self.hub.spreadsheets().values_batch_get(id).major_dimension(dimension).value_render_option(values);
            let call = call.date_time_render_option("SERIAL_NUMBER");
            ranges.iter().fold(call, |call, range| call.add_ranges(range))
        })?;
        // An answer that lost a range must not look like a tab that lost its rows.
        let found = answer.value_ranges.unwrap_or_default();
        let is_whole = found.len() == ranges.len() && found.iter().all(|found| found.range.is_some());
        if is_whole { Ok(found) } else { Err(answer::garbled(Step::Read)) }
    }

    /// Writes these cells; how many rows and cells were touched, as Google counts them.
    pub async fn write(&self, updates: &[Update]) -> Result<(usize, usize), SheetError> {
        let data = updates.iter().map(|update| ValueRange {
            major_dimension: Some("ROWS".to_owned()),
            range: Some(update.range.clone()),
            values: Some(update.values.clone()),
        });
        let request = BatchUpdateValuesRequest {
            data: Some(data.collect()),
            value_input_option: Some("RAW".to_owned()),
            include_values_in_response: Some(false),
            ..BatchUpdateValuesRequest::default()
        };
        let id = &self.settings.sheet_id;
        let answer = ask!(self, Step::Write, self.hub.spreadsheets().values_batch_update(request.clone(), id))?;
        let rows = answer.total_updated_rows.ok_or(answer::garbled(Step::Write))?;
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        Ok((count(rows), answer.total_updated_cells.map_or(0, count)))
    }

    /// Asks Google to write nothing: it refuses that to those who may only read.
    pub async fn write_nothing(&self) -> Result<(), SheetError> {
        let request = BatchUpdateValuesRequest {
            data: Some(Vec::new()),
            value_input_option: Some("RAW".to_owned()),
            ..BatchUpdateValuesRequest::default()
        };
        let id = &self.settings.sheet_id;
        ask!(self, Step::Write, self.hub.spreadsheets().values_batch_update(request.clone(), id)).map(drop)
    }

    /// Makes all of these changes, or none.
    pub async fn change(&self, requests: Vec<Request>) -> Result<(), SheetError> {
        let asked = requests.len();
        let request =
            BatchUpdateSpreadsheetRequest { requests: Some(requests), ..BatchUpdateSpreadsheetRequest::default() };
        let id = &self.settings.sheet_id;
        let answer = ask!(self, Step::Change, self.hub.spreadsheets().batch_update(request.clone(), id))?;
        let is_whole = answer.replies.is_some_and(|replies| replies.len() == asked);
        if is_whole { Ok(()) } else { Err(answer::garbled(Step::Change)) }
    }

    /// By how many seconds this machine's clock is fast (or slow, below 0) where that is more than anybody would
    /// bear, as the answer to a question without a token tells it.
    pub async fn clock_off(&self) -> Option<i64> {
        let request = hyper::Request::get(self.settings.api.as_str()).body(answer::nothing()).ok()?;
        let answer = timeout(self.limits.timeout, self.hub.client.request(request)).await.ok()?.ok()?;
        let seconds = Timestamp::now().as_second() - answer::date(answer.headers())?.as_second();
        (seconds.abs() > TOLERANCE).then_some(seconds)
    }

    async fn turn(&self, step: Step) {
        if step.is_write() { self.writes.turn().await } else { self.reads.turn().await }
    }

    fn judge<T>(
        &self,
        step: Step,
        answered: Result<Result<(Response, T), GoogleError>, tokio::time::error::Elapsed>,
        witness: &Witness,
    ) -> Result<T, Verdict> {
        match answered {
            Ok(Ok((_, answer))) => Ok(answer),
            Ok(Err(error)) => Err(answer::judge(&error, witness, step, &self.settings.account)),
            Err(_) => Err(Verdict::Error(SheetError::Unavailable { step, what: "timeout", after: None })),
        }
    }
}
