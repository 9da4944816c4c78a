"""Tables of abbreviations and of the words that are spoken for them."""

SPELLINGS = {
    "alright": "all right",
    "approx": "approximately",
    "apt": "apartment",
    "ave": "avenue",
    "blvd": "boulevard",
    "cos": "because",
    "cuz": "because",
    "dept": "department",
    "eg": "for example",
    "etc": "et cetera",
    "gimme": "give me",
    "ie": "that is",
    "ii": "2",
    "iii": "3",
    "lemme": "let me",
    "mph": "miles per hour",
    "ok": "okay",
    "sgt": "sergeant",
    "thru": "through",
    "til": "until",
    "till": "until",
    "vs": "versus",
}
MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
MONTHS = {name[:3]: name for name in MONTH_NAMES} | {"sept": "september"}
AMBIGUOUS_MONTHS = ("mar", "may", "jun", "jul")  # no abbreviations, or seldom used
# after a number; units in the singular ("a 5 kilometer run") become plural, too
UNITS = {
    "cm": "centimeters",
    "ft": "feet",
    "gb": "gigabytes",
    "ghz": "gigahertz",
    "hr": "hours",
    "hrs": "hours",
    "hz": "hertz",
    "kb": "kilobytes",
    "kg": "kilograms",
    "kgs": "kilograms",
    "khz": "kilohertz",
    "km": "kilometers",
    "kms": "kilometers",
    "kw": "kilowatts",
    "lb": "pounds",
    "lbs": "pounds",
    "mb": "megabytes",
    "mg": "milligrams",
    "mhz": "megahertz",
    "mi": "miles",
    "min": "minutes",
    "mins": "minutes",
    "ml": "milliliters",
    "mm": "millimeters",
    "oz": "ounces",
    "sec": "seconds",
    "secs": "seconds",
    "tb": "terabytes",
    "yd": "yards",
    "yds": "yards",
    "yr": "years",
    "yrs": "years",
}
SINGULAR_UNITS = {name.removesuffix("s"): name for name in UNITS.values() if name not in ("hertz", "feet")}
SINGULAR_UNITS = {name: plural for name, plural in SINGULAR_UNITS.items() if name != "second"} | {
    "foot": "feet"
}
# words before which "st" is a street and not a saint
AFTER_STREET = ("in", "and", "at", "on", "is", "was", "to", "near", "by", "for", "or", "from", "where")
