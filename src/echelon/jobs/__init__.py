"""Work beside requests: messages of queues, and jobs at times."""

from echelon.jobs.handlers import Delivery as Delivery
from echelon.jobs.registry import Jobs as Jobs
from echelon.jobs.schedule import Cron as Cron
from echelon.jobs.schedule import parse as parse_schedule

__all__ = ["Cron", "Delivery", "Jobs", "parse_schedule"]
