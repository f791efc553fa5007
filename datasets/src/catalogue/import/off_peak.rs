//! LiteLLM's `off_peak_pricing.windows` as windows of the week in UTC.

use serde_json::value::RawValue;

use super::json::{self, Object};
use crate::catalogue::window::{DAY_MINUTES, EVERY_DAY, Window, minute_of};

/// Zones by which weekdays are counted, and how many minutes they are ahead of UTC. Only zones
/// without daylight saving time have one answer.
const ZONES: [(&str, u16); 3] = [
    ("UTC", 0),
    ("Asia/Shanghai", 8 * 60),
    ("Asia/Singapore", 8 * 60),
];

/// The windows; hours are in UTC, weekdays (1 is Monday) in `weekday_timezone`.
pub(super) fn windows(row: &Object<'_>) -> Result<Vec<Window>, String> {
    let zone = match row.get("weekday_timezone") {
        None => "UTC".to_owned(),
        Some(zone) => json::string(zone).ok_or("`weekday_timezone` is not a text")?,
    };
    let known = ZONES.iter().find(|(name, _)| *name == zone);
    let (_, ahead) = *known.ok_or_else(|| format!("weekdays are counted in {zone}"))?;
    let list = row.get("windows").ok_or("no windows")?;
    let list: Vec<Object<'_>> =
        serde_json::from_str(list.get()).map_err(|_| "the windows are no list of objects")?;
    let mut windows = Vec::new();
    for entry in &list {
        if let Some((field, _)) = entry
            .0
            .iter()
            .find(|(field, _)| field != "hours_utc" && field != "weekdays")
        {
            return Err(format!("`{field}` of a window is not known"));
        }
        let days = days(entry.get("weekdays"))?;
        let hours = entry.get("hours_utc").ok_or("a window without hours")?;
        for span in texts(hours).ok_or("hours that are no text")? {
            let (from, until) = span
                .split_once('-')
                .and_then(|(from, until)| Some((minute_of(from)?, minute_of(until)?)))
                .ok_or_else(|| format!("`{span}` are no hours"))?;
            // Until midnight is until the end of the day.
            let until = if until == 0 { DAY_MINUTES } else { until };
            if until <= from && days != EVERY_DAY {
                return Err(format!(
                    "`{span}` goes on after midnight on some weekdays only"
                ));
            }
            let parts = if until <= from {
                vec![(from, DAY_MINUTES), (0, until)]
            } else {
                vec![(from, until)]
            };
            for (from, until) in parts {
                windows.extend(in_utc(days, from, until, ahead));
            }
        }
    }
    if windows.is_empty() {
        return Err("no windows".to_owned());
    }
    Ok(windows)
}

/// A window of UTC minutes on days of a zone, as windows on days of UTC.
fn in_utc(days: u8, from: u16, until: u16, ahead: u16) -> Vec<Window> {
    // From here on it is the next day already in the zone.
    let turn = DAY_MINUTES - ahead;
    let day_before = (days >> 1 | days << 6) & EVERY_DAY;
    let same = Window::new(days, from, until.min(turn));
    let next = Window::new(day_before, from.max(turn), until);
    same.into_iter().chain(next).collect()
}

fn days(value: Option<&RawValue>) -> Result<u8, String> {
    let Some(value) = value else {
        return Ok(EVERY_DAY);
    };
    let days: Vec<u8> =
        serde_json::from_str(value.get()).map_err(|_| "`weekdays` is no list of numbers")?;
    if days.iter().any(|day| !(1..=7).contains(day)) {
        return Err("a weekday outside 1 to 7".to_owned());
    }
    Ok(days.into_iter().fold(0, |all, day| all | 1 << (day - 1)))
}

/// One text, or a list of them.
fn texts(value: &RawValue) -> Option<Vec<String>> {
    let one = json::string(value).map(|text| vec![text]);
    one.or_else(|| serde_json::from_str(value.get()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: Result<&[&str], &str>) {
        let row: Object<'_> = serde_json::from_str(json).expect(json);
        let got = windows(&row).map(|windows| {
            let shown = windows.iter().map(ToString::to_string);
            shown.collect::<Vec<String>>()
        });
        match want {
            Ok(want) => assert_eq!(
                got.as_deref(),
                Ok(&want.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{json}"
            ),
            Err(why) => assert!(
                got.as_ref().is_err_and(|got| got.contains(why)),
                "{json}: {got:?}"
            ),
        }
    }

    #[test]
    fn hours_become_windows_in_utc() {
        check(
            r#"{"windows":[{"hours_utc":["00:00-01:00","10:00-00:00"],"weekdays":[1,5]},{"hours_utc":"00:00-00:00","weekdays":[6,7]}]}"#,
            Ok(&[
                "mon,fri 00:00-01:00",
                "mon,fri 10:00-24:00",
                "sat,sun 00:00-24:00",
            ]),
        );
        check(
            r#"{"windows":[{"hours_utc":"22:00-06:00"}]}"#,
            Ok(&["22:00-24:00", "00:00-06:00"]),
        );
        // In Shanghai it is Monday from 16:00 UTC on Sunday.
        check(
            r#"{"weekday_timezone":"Asia/Shanghai","windows":[{"hours_utc":"10:00-00:00","weekdays":[1]}]}"#,
            Ok(&["mon 10:00-16:00", "sun 16:00-24:00"]),
        );
        for (json, why) in [
            (
                r#"{"windows":[{"hours_utc":"22:00-06:00","weekdays":[1]}]}"#,
                "after midnight",
            ),
            (
                r#"{"weekday_timezone":"Europe/Berlin","windows":[{"hours_utc":"01:00-02:00"}]}"#,
                "Berlin",
            ),
            (r#"{"windows":[{"hours_utc":"1-2"}]}"#, "no hours"),
            (
                r#"{"windows":[{"hours_utc":"01:00-02:00","weekdays":[0]}]}"#,
                "1 to 7",
            ),
            (
                r#"{"windows":[{"hours_utc":"01:00-02:00","season":1}]}"#,
                "season",
            ),
            (r#"{"windows":[]}"#, "no windows"),
            ("{}", "no windows"),
        ] {
            check(json, Err(why));
        }
    }
}
