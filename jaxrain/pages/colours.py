"""Colours of an hour's states; apart from `palette`, for they need no matplotlib."""

# States of an hour: what is used in blues and yellow, what lacks a side in warm colours, what is
# nowhere in black; by the names of the audit.
HOUR_COLOURS = {
    "absent": "#eceff2",
    "in_no_split": "#bcc4cc",
    "missing": "#000000",
    "no_fine_rain": "#d55e00",
    "no_predictors": "#cc79a7",
    "train": "#0072b2",
    "validation": "#56b4e9",
    "test": "#f0e442",
}
