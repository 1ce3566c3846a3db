//! Formats of cells as `:batchUpdate` takes them, and whether a field mask says what is set.

use serde::Deserialize;

use super::api::Refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Format {
    pub number_format: Option<NumberFormat>,
    pub background_color_style: Option<Style>,
    pub horizontal_alignment: Option<String>,
    pub vertical_alignment: Option<String>,
    pub wrap_strategy: Option<String>,
    pub text_format: Option<TextFormat>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberFormat {
    pub r#type: String,
    pub pattern: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TextFormat {
    pub bold: Option<bool>,
    pub foreground_color_style: Option<Style>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Style {
    pub rgb_color: Colour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colour {
    pub red: f32,
    pub green: f32,
    pub blue: f32,
}

pub fn check_colour(style: &Style) -> Result<(), Refused> {
    let Colour { red, green, blue } = style.rgb_color;
    let is_one = [red, green, blue].iter().all(|part| (0.0..=1.0).contains(part));
    if is_one { Ok(()) } else { Err(Refused::wrong("Invalid color")) }
}

/// Each field that is named is set, and each that is set is named.
pub fn check_fields(fields: &str, format: &Format) -> Result<(), Refused> {
    let set = [
        ("numberFormat", format.number_format.is_some()),
        ("backgroundColorStyle", format.background_color_style.is_some()),
        ("horizontalAlignment", format.horizontal_alignment.is_some()),
        ("verticalAlignment", format.vertical_alignment.is_some()),
        ("wrapStrategy", format.wrap_strategy.is_some()),
        ("textFormat", format.text_format.is_some()),
    ];
    let mut named: Vec<String> = fields.split(',').map(str::to_owned).collect();
    let mut expected: Vec<String> =
        set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!("userEnteredFormat.{name}")).collect();
    named.sort();
    expected.sort();
    if let Some(number) = &format.number_format
        && (!["NUMBER", "DATE_TIME", "TEXT"].contains(&number.r#type.as_str()) || number.pattern.is_empty())
    {
        return Err(Refused::wrong("Invalid number format"));
    }
    let words = [&format.horizontal_alignment, &format.vertical_alignment, &format.wrap_strategy];
    if words.into_iter().flatten().any(|word| !["LEFT", "TOP", "WRAP", "CLIP"].contains(&word.as_str())) {
        return Err(Refused::wrong("Invalid alignment"));
    }
    if named == expected { Ok(()) } else { Err(Refused::wrong(format!("Invalid field mask {fields}"))) }
}
