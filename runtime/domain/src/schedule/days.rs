//! Which days a schedule means.

use jiff::civil::{Date, Weekday};

/// Days of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Days {
    /// Each.
    Daily,
    /// These days of each week.
    Weekly(Vec<Weekday>),
    /// These days of each month; its last day where it has fewer.
    Monthly(Vec<i8>),
    /// As the fields of cron say.
    Cron(CronDays),
}

/// The fields of cron that are about days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CronDays {
    pub(super) months: Vec<i8>,
    pub(super) days_of_month: Vec<i8>,
    pub(super) weekdays: Vec<Weekday>,
    /// Whether both days of the month and weekdays are restricted: then either will do, as cron has it
    /// since ever.
    pub(super) either: bool,
}

impl Days {
    pub(super) fn include(&self, date: Date) -> bool {
        match self {
            Self::Daily => true,
            Self::Weekly(days) => days.contains(&date.weekday()),
            Self::Monthly(days) => days
                .iter()
                .any(|day| *day.min(&date.days_in_month()) == date.day()),
            Self::Cron(days) => days.include(date),
        }
    }
}

impl CronDays {
    fn include(&self, date: Date) -> bool {
        let of_month = self.days_of_month.contains(&date.day());
        let of_week = self.weekdays.contains(&date.weekday());
        self.months.contains(&date.month())
            && match self.either {
                true => of_month || of_week,
                false => of_month && of_week,
            }
    }
}
