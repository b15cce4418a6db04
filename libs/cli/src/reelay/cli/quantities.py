"""Sizes, rates and durations as people read them."""

STEP = 1000
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400


def size(count_bytes: float) -> str:
    """Return a size in decimal units, for example `1.5 MB`."""
    value = max(0.0, float(count_bytes))
    for unit in UNITS:
        digits = 0 if unit == "B" else 1
        if round(value, digits) < STEP or unit == UNITS[-1]:
            break
        value /= STEP
    return f"{value:.{digits}f} {unit}"


def rate(count_bytes: float, duration_s: float) -> str:
    """Return a mean rate, for example `12.0 MB/s`; nothing is said of no time at all."""
    return f"{size(count_bytes / duration_s)}/s" if duration_s > 0 else "-"


def duration(duration_s: float) -> str:
    """Return a duration in its two largest units, for example `3 min 5 s`."""
    whole = max(0, round(duration_s))
    if duration_s < 1:
        return f"{max(0.0, duration_s):.1f} s"
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S} s"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"


def percent(share: float) -> int:
    """Return a share 0..1 in whole percent, rounded down: 100 means all."""
    return int(max(0.0, min(1.0, share)) * 100 + 1e-9)


def clock(position_s: float) -> str:
    """Return a position in a video, for example `1:05` or `1:02:05`; fractions are dropped."""
    whole = max(0, int(position_s + 1e-6))
    hours, minutes, seconds = whole // HOUR_S, whole % HOUR_S // MINUTE_S, whole % MINUTE_S
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
