"""stand-in until the real one lands"""
from dataclasses import dataclass
@dataclass(frozen=True)
class Settings:
    upstream: str
    default_attempt: str = "1"
    collisions: str = "extension"
    timeout: float = 30
    threads: int = 16
    @classmethod
    def from_json(cls, value): return cls(**value)
