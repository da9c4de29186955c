//! The orders that benches move: fourteen columns of all kinds, as people's services have them, and the same rows in every
//! run and on every side.

use serde::Serialize;

/// The columns in their order, as a CSV file names them.
pub const COLUMNS: &str = "id,reference,ordered_at,due,customer,country,amount,quantity,paid,note,email,street,page,remark";

const WORDS: [&str; 16] = [
    "deliver",
    "before",
    "noon",
    "ring",
    "twice",
    "and",
    "leave",
    "the",
    "parcel",
    "with",
    "a",
    "neighbour",
    "if",
    "nobody",
    "opens",
    "door",
];

const CUSTOMERS: [&str; 8] = [
    "Aster & Sons",
    "Blue Harbour Ltd",
    "Čapek Robotics",
    "Dünen GmbH",
    "Élan Sàrl",
    "Fjord AS",
    "Grove \"Market\"",
    "Hill, Dale and Partners",
];
const COUNTRIES: [&str; 8] = ["AT", "CZ", "DE", "DK", "FR", "GB", "NO", "US"];

/// A small generator (splitmix64), so that the rows need no crate and never change.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
}

/// One order.
#[derive(Debug, Clone, Serialize)]
pub struct Order {
    /// Counts from 0.
    pub id: u64,
    /// 16 hexadecimal digits, like none other.
    pub reference: String,
    /// RFC 3339.
    pub ordered_at: String,
    /// A date.
    pub due: String,
    /// One of eight.
    pub customer: &'static str,
    /// One of eight.
    pub country: &'static str,
    /// With two decimals.
    pub amount: f64,
    /// Below 100.
    pub quantity: u64,
    /// Three of four are.
    pub paid: bool,
    /// One of three has one.
    pub note: Option<String>,
    /// An address.
    pub email: String,
    /// Some hundreds of different ones.
    pub street: String,
    /// A URL like none other.
    pub page: String,
    /// 20 to 50 words.
    pub remark: String,
    /// `ordered_at` in seconds since 1970.
    #[serde(skip)]
    pub ordered_second: i64,
    /// `due` in days since 1970.
    #[serde(skip)]
    pub due_day: i32,
}

impl Order {
    /// The order with this number.
    pub fn number(id: u64) -> Self {
        let mut random = Random(id);
        let reference = random.next();
        let second = random.below(86_400);
        let (hour, minute, rest) = (second / 3600, second / 60 % 60, second % 60);
        let customer = random.one_of(&CUSTOMERS);
        let country = random.one_of(&COUNTRIES);
        let cents = random.below(1_000_000);
        let quantity = random.below(100);
        let paid = random.below(4) > 0;
        let note = (random.below(3) == 0).then(|| random.below(90_000));
        let house = random.below(400);
        Self {
            id,
            reference: format!("{reference:016x}"),
            ordered_at: format!("{}T{hour:02}:{minute:02}:{rest:02}Z", date(id / 600)),
            due: date(id / 600 + 30),
            customer,
            country,
            amount: cents as f64 / 100.0,
            quantity,
            paid,
            note: note.map(|n| format!("Deliver to gate {n} before noon, ring twice")),
            email: format!("buyer.{}@example.com", house * 7),
            street: format!("{house} Long Harbour Street, 3rd floor"),
            page: format!("https://shop.example.com/orders/{reference:016x}"),
            remark: remark(&mut random),
            ordered_second: i64::from(days(id / 600)) * 86_400 + second as i64,
            due_day: days(id / 600 + 30),
        }
    }

    /// As a line of CSV.
    pub fn csv(&self) -> String {
        let note = self.note.as_ref().map(|note| format!("\"{note}\""));
        format!(
            "{},{},{},{},\"{}\",{},{:.2},{},{},{},{},\"{}\",{},{}\n",
            self.id,
            self.reference,
            self.ordered_at,
            self.due,
            self.customer.replace('"', "\"\""),
            self.country,
            self.amount,
            self.quantity,
            self.paid,
            note.unwrap_or_default(),
            self.email,
            self.street,
            self.page,
            self.remark,
        )
    }
}

/// The orders from one number to before another.
pub fn orders(from: u64, to: u64) -> Vec<Order> {
    (from..to).map(Order::number).collect()
}

/// Some words of free text: 20 to 50.
fn remark(random: &mut Random) -> String {
    let count = 20 + random.below(31);
    let words = (0..count).map(|_| random.one_of(&WORDS));
    words.collect::<Vec<_>>().join(" ")
}

/// Year, month and day of a day after 2023, each month with 28 of them.
fn civil(day: u64) -> (u64, u64, u64) {
    (2024 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
}

fn date(day: u64) -> String {
    let (year, month, day) = civil(day);
    format!("{year}-{month:02}-{day:02}")
}

/// Days from 1970 to it.
pub(crate) fn days(day: u64) -> i32 {
    let (year, month, day) = civil(day);
    // Years that begin with March have their leap day at the end.
    let year = if month > 2 { year } else { year - 1 };
    let since_march = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + since_march;
    days as i32 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_a_calendar_counts_them() {
        assert_eq!((date(0), days(0)), ("2024-01-01".to_owned(), 19_723));
        assert_eq!((date(56), days(56)), ("2024-03-01".to_owned(), 19_783));
        assert_eq!((date(335), days(335)), ("2024-12-28".to_owned(), 20_085));
        assert_eq!((date(336), days(336)), ("2025-01-01".to_owned(), 20_089));
    }

    #[test]
    fn the_same_number_is_the_same_order() {
        assert_eq!(Order::number(7).csv(), Order::number(7).csv());
        assert_ne!(Order::number(7).reference, Order::number(8).reference);
    }
}
