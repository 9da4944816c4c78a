"""Add members to enumerations for the time of a test, as a line in dia/config/choices.py would."""


def add_member(monkeypatch, enumeration, name):
    """Return a new member of a ``StrEnum``, removed after the test."""
    member = str.__new__(enumeration, name)
    member._name_ = member._value_ = name
    monkeypatch.setitem(enumeration._member_map_, name, member)
    monkeypatch.setitem(enumeration._value2member_map_, name, member)
    monkeypatch.setattr(enumeration, "_member_names_", [*enumeration._member_names_, name])
    return member
