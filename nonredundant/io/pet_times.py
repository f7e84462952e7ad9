"""Times of a PET: how long the tracer decayed from the injection to the time of the values."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any, NamedTuple

from nonredundant.io.dicom import numbers, text
from nonredundant.io.errors import CaseError

#: Half-lives after which a scan is no longer plausible: less than 2 % of the dose are left.
_LONGEST = 6.0
#: Two statements of one time may differ by so much: some are rounded to minutes.
_ROUNDED = datetime.timedelta(seconds=60)
_SECOND, _DAY = datetime.timedelta(seconds=1), datetime.timedelta(days=1)
#: Offsets from UTC are multiples of this.
_ZONES = datetime.timedelta(minutes=15)
_CLOCK = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(\.\d*)?)?)?")
_ZONE = re.compile(r"([+-])(\d{2})(\d{2})")


class _Moment(NamedTuple):
    """A date and time, and its offset from UTC if it is stated."""

    clock: datetime.datetime
    offset: datetime.timedelta | None


def decay_seconds(header: Any, injection: Any, half_life: float) -> float:
    """Compute the seconds from the injection to the time that activities are corrected to.

    Parameters
    ----------
    header, injection : pydicom.Dataset
        The slice that was acquired first and its item of the radiopharmaceutical.
    half_life : float
        The half-life in s.

    Returns
    -------
    float
        The seconds; 0 if activities are corrected to the injection.

    Raises
    ------
    CaseError
        If a time is missing, ambiguous or implausible.

    Notes
    -----
    Dates and times without an offset are in the zone of TimezoneOffsetFromUTC (DICOM PS3.3,
    C.12.1.1.8), or all in the same unknown zone. Enhanced PET states the time of its decay
    correction (PS3.3, C.8.22), other PET the time of the series.

    Examples
    --------
    >>> decay_seconds(header, injection, 6586.2)  # doctest: +SKIP
    3600.0
    """
    reference = text(header, "DecayCorrection")
    corrected = _moment(text(header, "DecayCorrectionDateTime"))
    if reference == "ADMIN":
        return 0.0
    if reference != "START" and (reference or corrected is None):
        raise CaseError(
            f"the decay correction (0054,1102) is {reference or 'not stated'}, but SUV need START "
            "or ADMIN; restore it, or give an image in SUV"
        )
    zone = _offset(text(header, "TimezoneOffsetFromUTC"))
    if reference == "START" or corrected is None:
        start = _scan_start(header, half_life)
    else:
        zone = corrected.offset if zone is None else zone
        start = _in_zone(corrected, zone, None)
    injected = _injected(injection, start, zone, half_life)
    for what, time in (("injection", injected), ("scan", start)):
        if time.time() == datetime.time(0):
            raise CaseError(
                f"the {what} is dated to midnight exactly ({time}), as de-identification leaves "
                "it; restore the time, or give an image in SUV"
            )
    seconds = (start - injected).total_seconds()
    if not 0 <= seconds <= _LONGEST * half_life:
        raise CaseError(
            f"the scan (at {start}) starts {seconds / 3600:.1f} h after the injection (at "
            f"{injected}), which is {seconds / half_life:.1f} half-lives, expected 0 to "
            f"{_LONGEST:g}; correct the times in the header"
        )
    return seconds


def _scan_start(header: Any, half_life: float) -> datetime.datetime:
    """Return the time that activities are corrected to.

    That is the time of the series, unless a later reconstruction replaced it by its own: then it
    follows from the acquisition time and the frame's reference time.
    """
    series = _date_time(header, "Series")
    acquired = _date_time(header, "Acquisition")
    if acquired is None:
        raise CaseError("the header lacks the date and time of acquisition, which SUV need")
    # One of the two may be rounded to seconds.
    if series is not None and series <= acquired + _SECOND:
        return series
    reference = numbers(header, "FrameReferenceTime")
    duration = numbers(header, "ActualFrameDuration")
    if not (reference and duration and duration[0] > 0):
        raise CaseError(
            "the series is dated after its acquisition and has no frame reference time "
            "(0054,1300), so the time of its decay correction is unknown; give an image in SUV"
        )
    rate = math.log(2) / half_life
    frame = rate * duration[0] / 1000
    # The moment within the frame at which the count rate equals its mean.
    mean = math.log(frame / -math.expm1(-frame)) / rate
    return acquired + datetime.timedelta(seconds=mean - reference[0] / 1000)


def _injected(
    injection: Any,
    start: datetime.datetime,
    zone: datetime.timedelta | None,
    half_life: float,
) -> datetime.datetime:
    """Return the time of the injection, in the zone of the scan."""
    stated = _moment(text(injection, "RadiopharmaceuticalStartDateTime"))
    time = _time(text(injection, "RadiopharmaceuticalStartTime"))
    if stated is None:
        if time is None:
            raise CaseError("the header lacks the time of injection (0018,1072), which SUV need")
        return _on_a_day(time, start, half_life)
    local = _in_zone(stated, zone, time)
    if time is not None and _apart(local, time) > _ROUNDED:
        raise CaseError(
            f"the header states two times of injection, {local} (0018,1078) and {time} "
            "(0018,1072); correct the wrong one, or give an image in SUV"
        )
    return local


def _on_a_day(time: datetime.time, start: datetime.datetime, half_life: float) -> datetime.datetime:
    """Find the day of an injection whose time alone is stated."""
    latest = datetime.datetime.combine(start.date(), time)
    if latest > start:
        # Injected before midnight, scanned after.
        latest -= _DAY
    if (start - latest + _DAY).total_seconds() <= _LONGEST * half_life:
        raise CaseError(
            f"the header states the time of injection ({time}) without its day (0018,1078), and "
            f"with a half-life of {half_life / 3600:.1f} h several days are possible; restore the "
            "date and time, or give an image in SUV"
        )
    return latest


def _in_zone(
    stated: _Moment, zone: datetime.timedelta | None, time: datetime.time | None
) -> datetime.datetime:
    """Convert a date and time to the zone of the other times of the header.

    `time` is the same time in that zone, if it is known: it tells the zone if the header does not.
    """
    clock, offset = stated
    if offset is None or offset == zone:
        return clock
    if zone is not None:
        return clock - offset + zone
    if time is not None:
        apart = _apart(clock, time)
        in_steps = apart % _ZONES
        if apart > _ROUNDED and min(in_steps, _ZONES - in_steps) <= _ROUNDED:
            days = [datetime.datetime.combine(clock.date(), time) + k * _DAY for k in (-1, 0, 1)]
            return min(days, key=lambda day: abs(day - clock))
        return clock
    if offset:
        # Scanners that state their zone here state the local time.
        return clock
    raise CaseError(
        f"the time of injection is stated in UTC ({clock}, 0018,1078), and the header does not "
        "tell the zone of the other times (0008,0201); restore it, or give an image in SUV"
    )


def _apart(moment: datetime.datetime, time: datetime.time) -> datetime.timedelta:
    """Return the difference of a date and time from a time of any day, at most 12 h."""
    apart = abs(moment - datetime.datetime.combine(moment.date(), time))
    return min(apart, _DAY - apart)


def _date_time(header: Any, prefix: str) -> datetime.datetime | None:
    """Combine a date and a time of the header; None if one is absent."""
    date = text(header, f"{prefix}Date").replace(".", "")
    moment = _moment(f"{date}{text(header, f'{prefix}Time')}")
    if moment is None and prefix == "Acquisition":
        moment = _moment(text(header, "AcquisitionDateTime"))
    return moment and moment.clock


def _moment(value: str) -> _Moment | None:
    """Read a date and time (YYYYMMDDHHMMSS.F, then the offset from UTC); None if it is none."""
    value = value.replace(":", "").strip()
    zone = _ZONE.search(value[8:])
    time = _time(value[8:] if zone is None else value[8 : 8 + zone.start()])
    try:
        date = datetime.datetime.strptime(value[:8], "%Y%m%d").date()
    except ValueError:
        return None
    if time is None:
        return None
    offset = None if zone is None else _offset(zone.group())
    return _Moment(datetime.datetime.combine(date, time), offset)


def _offset(value: str) -> datetime.timedelta | None:
    """Read an offset from UTC (+HHMM); None if it is none."""
    match = _ZONE.fullmatch(value.strip())
    if match is None:
        return None
    size = datetime.timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -size if match[1] == "-" else size


def _time(value: str) -> datetime.time | None:
    """Read a time (HHMMSS.F; minutes, seconds and fraction may be absent); None if it is none."""
    match = _CLOCK.fullmatch(value.replace(":", "").strip())
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    fraction = round(float(f"0{match[4] or '.0'}") * 1e6) if (match[4] or ".") != "." else 0
    try:
        return datetime.time(hour, minute, second, min(fraction, 999_999))
    except ValueError:
        return None
