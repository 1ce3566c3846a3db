//! One cycle: one read of header and keys, one write of all rows that changed and of `_status`; none of both if there
//! is nothing to say.
//!
//! A cycle that is too large for one request takes several laps, each with a read of its own. What is remembered between
//! cycles is only what saves requests (names and sizes of the tabs, where columns stood, which rows are certain); whatever
//! of it is no longer true shows itself in the read, or in a refusal, and is looked up again.

use std::collections::HashSet;

use google_sheets4::api::{Sheet, ValueRange};
use serde_json::Value;

use super::a1;
use super::answer::garbled;
use super::client::{Client, Render};
use super::error::{SheetError, Step};
use super::gate::Setbacks;
use super::layout::{Layout, Misfit};
use super::notice::Noticed;
use super::plan::{self, Planned, Seen, Update, Want};
use super::setup::{self, Kind, Tab};
use super::status::{self, Told};
use super::value;
use crate::domain::ConversationKey;
use crate::mirror::rows::{COLUMNS, Column};
use crate::ports::{Projection, Shown};

/// About how many bytes of values one write takes: Google advises 2 MB for a whole request.
const BUDGET: usize = 1_700_000;
/// The fingerprint of no row.
const NOTHING: [u8; 16] = [0; 16];
/// So many laps may take conversations out before it is given up to see that they are gone: somebody copies them faster.
const FAREWELLS: u32 = 4;
/// How often the tabs are looked up anew within one cycle because they changed under its hands.
const SURPRISES: u32 = 2;

/// What should be shown.
pub(super) struct Task<'a> {
    /// Everything.
    pub projection: &'a Projection,
    /// What is certain to be shown already; of conversations that are not in the projection the cells are emptied.
    pub shown: &'a Shown,
    /// Rows to be emptied if they still have no key.
    pub keyless: &'a [usize],
    /// Write although it is certain.
    pub is_forced: bool,
}

/// What saves requests.
#[derive(Debug, Default)]
pub(super) struct Memory {
    tabs: Option<Tabs>,
    layout: Option<Layout>,
    /// Rows that are certain since the store noted them.
    certain: Shown,
    /// Rows of a write whose end nobody knows.
    doubtful: HashSet<ConversationKey>,
    /// True after an attempt whose end nobody knows.
    is_in_doubt: bool,
    /// What was written last, and where our columns stood then.
    last: Option<(Layout, Vec<ConversationKey>)>,
    told: Option<Told>,
    /// What `_status` says while rows can't be written.
    pub noticed: Option<Noticed>,
    /// The wait after failures.
    pub setbacks: Setbacks,
}

impl Memory {
    /// `_status` does not say what it would after a write of rows.
    pub fn forget_status(&mut self) {
        self.told = None;
    }
}

#[derive(Debug, Clone)]
struct Tabs {
    conversations: Tab,
    status: Tab,
}

/// Asked before everything that changes the sheet.
pub(super) type Permitted<'a> = &'a (dyn Fn() -> Result<(), SheetError> + Sync);

/// How a lap ended.
enum Lap {
    Done,
    More,
    /// Conversations were taken out: whether they are gone is seen by the next read. A write to a row that was sorted away
    /// meanwhile would leave somebody in the sheet who was erased from the store.
    Farewell,
    /// It must also be read where people typed.
    LookFurther,
}

/// Runs a cycle to its end.
pub(super) async fn run(
    client: &Client,
    memory: &mut Memory,
    task: &Task<'_>,
    permitted: Permitted<'_>,
) -> Result<(), SheetError> {
    let rows = &task.projection.rows;
    let wanted: Vec<Want<'_>> = rows.iter().map(|row| Want { row, fingerprint: row.fingerprint() }).collect();
    let mut noted = task.shown.clone();
    noted.extend(memory.certain.iter().map(|(key, fingerprint)| (*key, *fingerprint)));
    // Nobody knows what these show: nothing that is wanted. One that is not wanted any more may stand there all the same.
    noted.extend(memory.doubtful.iter().map(|key| (*key, NOTHING)));
    let is_shown = || {
        noted.len() == wanted.len()
            && wanted.iter().all(|want| noted.get(&want.row.conversation.key) == Some(&want.fingerprint))
    };
    let is_fresh = memory.told.is_some_and(|told| told.stands(&task.projection.status));
    if !task.is_forced && !memory.is_in_doubt && is_fresh && is_shown() {
        return Ok(());
    }
    let (mut surprises, mut look_further, mut farewells) = (0, false, 0);
    loop {
        permitted()?;
        if farewells >= FAREWELLS {
            noted.retain(|key, _| wanted.iter().any(|want| want.row.conversation.key == *key));
        }
        match lap(client, memory, task, &wanted, &mut noted, look_further, permitted).await {
            Ok(Lap::Farewell) => farewells += 1,
            Ok(Lap::Done) => break,
            Ok(Lap::More) => {}
            Ok(Lap::LookFurther) => look_further = true,
            Err(SheetError::Shrunk | SheetError::TabGone) if surprises < SURPRISES => {
                surprises += 1;
                memory.tabs = None;
            }
            Err(error) => return Err(error),
        }
    }
    // From here on the store's own notes are as good.
    memory.certain.clear();
    Ok(())
}

async fn lap(
    client: &Client,
    memory: &mut Memory,
    task: &Task<'_>,
    wanted: &[Want<'_>],
    noted: &mut Shown,
    look_further: bool,
    permitted: Permitted<'_>,
) -> Result<Lap, SheetError> {
    let tabs = open_tabs(client, memory, permitted).await?;
    let seen = look(client, memory, &tabs.conversations.title, look_further).await?;
    // Somebody may have put a column between our read and our write; then what was written stands one column beside.
    if let Some((_, written)) = memory.last.take_if(|(layout, _)| *layout != seen.layout) {
        noted.extend(written.iter().map(|key| (*key, NOTHING)));
        memory.doubtful.extend(written);
    }
    let is_keyless = |row: &&usize| seen.keys.get(**row - 1).is_none_or(|text| text.trim().is_empty());
    let strays: Vec<usize> = task.keyless.iter().filter(is_keyless).copied().collect();
    let planned = plan::plan(&tabs.conversations.title, &seen, wanted, noted, &strays, BUDGET);
    let Planned::Write(mut plan) = planned else { return Ok(Lap::LookFurther) };
    let status = &task.projection.status;
    let is_last = plan.left == 0 && plan.leaving == 0;
    let is_told = memory.told.is_some_and(|told| told.stands(status));
    let mut asked = plan.rows;
    // With the last rows and not before: `last write` is about all of them.
    let tells = is_last && (task.is_forced || !plan.updates.is_empty() || !is_told || memory.is_in_doubt);
    if tells {
        let block = status::block(&tabs.status.title, status, wanted.len());
        make_room(client, memory, Kind::Status, block.values.len(), permitted).await?;
        asked += block.values.iter().filter(|row| row.iter().any(|cell| *cell != "")).count();
        plan.updates.push(block);
    }
    make_room(client, memory, Kind::Conversations, plan.last_row, permitted).await?;
    if !plan.updates.is_empty() {
        permitted()?;
        memory.is_in_doubt = true;
        memory.told = None;
        memory.doubtful.extend(plan.shows.iter().map(|(key, _)| *key));
        memory.last = Some((seen.layout.clone(), plan.shows.iter().map(|(key, _)| *key).collect()));
        let (written, cells) = client.write(&plan.updates).await?;
        let filled =
            plan.updates.iter().flat_map(|update| &update.values).flatten().filter(|cell| **cell != "").count();
        if (written < asked || cells < filled) && !stands(client, &plan.updates).await? {
            return Err(SheetError::Partly { asked, written });
        }
    }
    for (key, fingerprint) in &plan.shows {
        memory.doubtful.remove(key);
        memory.certain.insert(*key, *fingerprint);
        noted.insert(*key, *fingerprint);
    }
    for key in &plan.gone {
        memory.certain.remove(key);
        noted.remove(key);
    }
    if !is_last {
        return Ok(if plan.leaving > 0 { Lap::Farewell } else { Lap::More });
    }
    memory.is_in_doubt = false;
    memory.doubtful.clear();
    if tells {
        memory.noticed = None;
        memory.told = Some(Told::of(status));
    }
    Ok(Lap::Done)
}

/// Whether everything that was to be written stands there, for when Google counted fewer rows: it does not promise to
/// count those that showed the same before.
async fn stands(client: &Client, updates: &[Update]) -> Result<bool, SheetError> {
    let ranges: Vec<String> = updates.iter().map(|update| update.range.clone()).collect();
    let read = client.read(&ranges, Render::Rows).await?;
    let is_there = |(update, read): (&Update, &ValueRange)| {
        let lines = columns(read);
        let line = |row: usize| lines.get(row).map(Vec::as_slice).unwrap_or_default();
        let mut rows = update.values.iter().enumerate();
        rows.all(|(row, values)| values.iter().enumerate().all(|(at, value)| value::is_same(value, line(row).get(at))))
    };
    Ok(updates.iter().zip(&read).all(is_there))
}

/// Grows a tab ahead of need: a write past its end would be refused as a whole.
async fn make_room(
    client: &Client,
    memory: &mut Memory,
    kind: Kind,
    rows: usize,
    permitted: Permitted<'_>,
) -> Result<(), SheetError> {
    let Some(tabs) = memory.tabs.as_mut() else { return Ok(()) };
    let tab = match kind {
        Kind::Conversations => &mut tabs.conversations,
        Kind::Status => &mut tabs.status,
    };
    if rows <= tab.rows {
        return Ok(());
    }
    permitted()?;
    let more = (rows - tab.rows).div_ceil(setup::ROWS) * setup::ROWS;
    client.change(vec![setup::grow(tab.id, more)]).await?;
    tab.rows += more;
    Ok(())
}

/// The header and the keys, and where people typed if that matters; all of one moment.
async fn look(client: &Client, memory: &mut Memory, title: &str, further: bool) -> Result<Seen, SheetError> {
    // Twice if the columns turn out to stand elsewhere than last time; more often only if they move as we look.
    for _ in 0..3 {
        let assumed = memory.layout.clone().unwrap_or_else(Layout::fresh);
        let width = memory.tabs.as_ref().map_or(COLUMNS.len(), |tabs| tabs.conversations.columns);
        let others = if further { assumed.others(width) } else { Vec::new() };
        let mut ranges = vec![a1::row(title, 1), a1::columns(title, (assumed.key(), assumed.key()))];
        ranges.extend(others.iter().map(|run| a1::columns(title, *run)));
        let read = client.read(&ranges, Render::Columns).await?;
        let [head, keys, typed @ ..] = read.as_slice() else { return Err(garbled(Step::Read)) };
        let header: Vec<String> = columns(head).iter().map(|column| text(column.first())).collect();
        let layout = match Layout::find(&header) {
            Ok(layout) => layout,
            // A tab that was emptied as a whole is made anew; the look at the tabs sees which it is.
            Err(Misfit::Blank) if columns(keys).iter().all(Vec::is_empty) && memory.layout.is_some() => {
                memory.layout = None;
                return Err(SheetError::TabGone);
            }
            Err(misfit) => return Err(SheetError::Columns { tab: Kind::Conversations.title(), misfit }),
        };
        let grid = (head.range.as_deref().map(a1::ends), keys.range.as_deref().map(a1::ends));
        let now = (grid.0.and_then(|ends| ends.1), grid.1.and_then(|ends| ends.0));
        if let Some(tabs) = memory.tabs.as_mut() {
            tabs.conversations.columns = now.0.unwrap_or(tabs.conversations.columns);
            tabs.conversations.rows = now.1.unwrap_or(tabs.conversations.rows);
        }
        let is_as_assumed = layout == assumed && (!further || now.0.is_none_or(|columns| columns == width));
        memory.layout = Some(layout.clone());
        if !is_as_assumed {
            continue;
        }
        let keys: Vec<String> = columns(keys)
            .first()
            .map(|column| column.iter().map(|cell| text(Some(cell))).collect())
            .unwrap_or_default();
        let keyed = keys.iter().rposition(|text| !text.trim().is_empty()).map_or(1, |index| index + 1);
        // One answer is of one moment: a key column that does not begin with its own header is no answer to this.
        if keys.first().map(|text| text.trim()) != Some(Column::Key.header()) {
            return Err(garbled(Step::Read));
        }
        return Ok(Seen { layout, keys, typed: further.then(|| last_typed(typed, keyed, now.1)) });
    }
    Err(SheetError::TabGone)
}

/// The last row in which a person typed something, but for columns that are filled from the last row of ours to the end
/// of the grid: a formula spills there, and would do so again into every row that the tab grows by.
fn last_typed(others: &[ValueRange], keyed: usize, height: Option<usize>) -> usize {
    let is_spill = |column: &&Vec<Value>| {
        let below = column.get(keyed..).unwrap_or_default();
        height.is_some_and(|height| height > keyed && column.len() >= height) && !below.iter().any(value::is_idle)
    };
    let last = |column: &Vec<Value>| column.iter().rposition(|cell| !value::is_idle(cell)).map_or(0, |index| index + 1);
    others.iter().flat_map(columns).filter(|column| !is_spill(column)).map(last).max().unwrap_or(0)
}

fn columns(range: &ValueRange) -> &[Vec<Value>] {
    range.values.as_deref().unwrap_or_default()
}

fn text(cell: Option<&Value>) -> String {
    match cell {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The two tabs, made where they are not there yet.
///
/// # Errors
/// [`SheetError::Columns`], [`SheetError::Foreign`]: a tab of our name is not ours.
pub(super) async fn open_tabs(
    client: &Client,
    memory: &mut Memory,
    permitted: Permitted<'_>,
) -> Result<OpenTabs, SheetError> {
    if let Some(tabs) = &memory.tabs {
        return Ok(OpenTabs { conversations: tabs.conversations.clone(), status: tabs.status.clone() });
    }
    let spreadsheet = client.tabs().await?;
    let mut requests = Vec::new();
    let mut found = Vec::new();
    for kind in [Kind::Conversations, Kind::Status] {
        let sheet = setup::find(&spreadsheet, kind);
        let tab = match sheet {
            None => {
                requests.extend(setup::make(kind, None));
                setup::planned(kind)
            }
            Some(sheet) => {
                let mut tab = setup::tab(sheet).ok_or(garbled(Step::Tabs))?;
                if !is_ours(client, kind, sheet).await? {
                    requests.extend(setup::make(kind, Some(sheet)));
                    tab.rows = tab.rows.max(setup::ROWS);
                    tab.columns = tab.columns.max(COLUMNS.len());
                }
                tab
            }
        };
        found.push(tab);
    }
    if !requests.is_empty() {
        permitted()?;
        client.change(requests).await?;
        memory.layout = None;
    }
    let [conversations, status] = <[Tab; 2]>::try_from(found).map_err(|_| garbled(Step::Tabs))?;
    memory.tabs = Some(Tabs { conversations: conversations.clone(), status: status.clone() });
    Ok(OpenTabs { conversations, status })
}

/// The tabs as they are now.
pub(super) struct OpenTabs {
    /// A row per conversation.
    pub conversations: Tab,
    /// Whether the rest can be trusted.
    pub status: Tab,
}

/// True if a tab was made by us, false if it is empty.
///
/// # Errors
/// [`SheetError::Columns`] if it was ours before somebody changed its headers, [`SheetError::Foreign`] if it never was.
pub(super) async fn is_ours(client: &Client, kind: Kind, sheet: &Sheet) -> Result<bool, SheetError> {
    let tab = setup::tab(sheet).ok_or(garbled(Step::Tabs))?;
    if kind == Kind::Status && tab.id == kind.id() {
        return Ok(true);
    }
    let read = client.read(&[a1::row(&tab.title, 1)], Render::Rows).await?;
    let first: Vec<String> = read
        .first()
        .and_then(|range| columns(range).first())
        .map(|row| row.iter().map(|cell| text(Some(cell))).collect())
        .unwrap_or_default();
    let misfit = match kind {
        Kind::Status if first.first().is_some_and(|text| text == status::FIRST_FACT) => return Ok(true),
        Kind::Status => Misfit::Blank,
        Kind::Conversations => match Layout::find(&first) {
            Ok(_) => return Ok(true),
            Err(misfit) => misfit,
        },
    };
    if first.iter().all(|text| text.trim().is_empty()) {
        let whole = client.read(&[a1::whole(&tab.title)], Render::Rows).await?;
        let is_empty = whole.iter().flat_map(columns).flatten().all(|cell| text(Some(cell)).trim().is_empty());
        if is_empty {
            return Ok(false);
        }
    }
    let is_ours = tab.id == kind.id() || first.iter().any(|text| text.trim() == Column::Key.header());
    match kind {
        Kind::Conversations if is_ours => Err(SheetError::Columns { tab: kind.title(), misfit }),
        _ => Err(SheetError::Foreign { tab: kind.title() }),
    }
}
