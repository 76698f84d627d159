"""What the API takes and gives of preferences."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from consent.preferences import OptOutSource, Preferences


class PreferencesRequest(BaseModel):
    """What a person chooses, all of it; JSON booleans and nothing that resembles them."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"opt_out_of_sale_and_sharing": True, "limit_sensitive_data_use": True}]
        },
    )

    opt_out_of_sale_and_sharing: StrictBool = Field(
        description="Personal data is neither sold nor shared (Cal. Civ. Code 1798.120)."
    )
    limit_sensitive_data_use: StrictBool = Field(
        description="Sensitive data is used for the service itself and nothing else (1798.121)."
    )


class PreferencesRead(BaseModel):
    """How a person's data is treated at their wish, and since when."""

    opt_out_of_sale_and_sharing: bool
    limit_sensitive_data_use: bool
    opt_out_honored: bool = Field(description="Whether an opt-out was received and holds; for display.")
    source: OptOutSource | None = Field(
        description="What the opt-out, or its absence, rests on; null before any choice."
    )
    opted_out_at: datetime | None
    gpc_honored_at: datetime | None = Field(
        description="When the signal of the browser or device was honoured."
    )
    limited_at: datetime | None
    reprompt_not_before: datetime | None = Field(
        description="Before that nobody may ask the person to opt in: twelve months after their last opt-out."
    )

    @classmethod
    def of(cls, held: Preferences) -> Self:
        """Show what holds."""
        return cls(
            opt_out_of_sale_and_sharing=held.opted_out_at is not None,
            limit_sensitive_data_use=held.limited_at is not None,
            opt_out_honored=held.opted_out_at is not None,
            source=held.source,
            opted_out_at=held.opted_out_at,
            gpc_honored_at=held.gpc_honored_at,
            limited_at=held.limited_at,
            reprompt_not_before=held.reprompt_not_before,
        )
