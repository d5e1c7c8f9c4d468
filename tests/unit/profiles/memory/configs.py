"""Configs of well-known models, cut down to what decides about memory, and their parameters.

The counts are those the hubs publish, without MTP layers, which vLLM does not load.
"""

from typing import Any

Config = dict[str, Any]

LLAMA_8B: Config = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA_70B: Config = {
    **LLAMA_8B, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
    "num_attention_heads": 64,
}  # fmt: skip
GEMMA_3_1B: Config = {
    "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "hidden_size": 1152,
    "intermediate_size": 6912, "num_hidden_layers": 26, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144, "sliding_window": 512,
    "max_position_embeddings": 32768,
}  # fmt: skip
EXAONE_4: Config = {
    "model_type": "exaone4", "hidden_size": 5120, "intermediate_size": 27392,
    "num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
    "vocab_size": 102400, "sliding_window": 4096, "sliding_window_pattern": "LLLG",
    "layer_types": [*["sliding_attention"] * 3, "full_attention"] * 16,
    "max_position_embeddings": 131072,
}  # fmt: skip
DEEPSEEK_V3: Config = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": 7168,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_routed_experts": 256,
    "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
    "moe_layer_freq": 1, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280,
    "num_nextn_predict_layers": 1, "max_position_embeddings": 163840,
}  # fmt: skip
MAVERICK: Config = {
    "architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text", "attention_chunk_size": 8192, "head_dim": 128,
        "hidden_size": 5120, "interleave_moe_layer_step": 2, "intermediate_size": 8192,
        "intermediate_size_mlp": 16384, "max_position_embeddings": 1048576,
        "num_attention_heads": 40, "num_experts_per_tok": 1, "num_hidden_layers": 48,
        "num_key_value_heads": 8, "num_local_experts": 128, "vocab_size": 202048,
    },
    "vision_config": {
        "model_type": "llama4_vision_model", "hidden_size": 1408, "image_size": 336,
        "intermediate_size": 5632, "num_hidden_layers": 34, "patch_size": 14,
    },
}  # fmt: skip
QWEN3_NEXT: Config = {
    "architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next", "hidden_size": 2048,
    "intermediate_size": 5120, "full_attention_interval": 4, "head_dim": 256,
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
    "linear_num_value_heads": 32, "linear_value_head_dim": 128, "moe_intermediate_size": 512,
    "num_attention_heads": 16, "num_experts": 512, "num_experts_per_tok": 10,
    "num_hidden_layers": 48, "num_key_value_heads": 2, "shared_expert_intermediate_size": 512,
    "vocab_size": 151936, "max_position_embeddings": 262144, "use_sliding_window": False,
}  # fmt: skip

# Name → config, parameters.
KNOWN: dict[str, tuple[Config, int]] = {
    "llama-3.1-8b": (LLAMA_8B, 8_030_261_248),
    "llama-3.1-70b": (LLAMA_70B, 70_553_706_496),
    "llama-3.2-1b, tied": (
        {
            **LLAMA_8B, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
            "head_dim": 64, "tie_word_embeddings": True,
        },
        1_235_814_400,
    ),
    "qwen2.5-72b": (
        {
            "model_type": "qwen2", "hidden_size": 8192, "intermediate_size": 29568,
            "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
            "vocab_size": 152064, "sliding_window": 131072, "use_sliding_window": False,
        },
        72_706_203_648,
    ),
    "qwen3-30b-a3b": (
        {
            "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144,
            "moe_intermediate_size": 768, "num_hidden_layers": 48, "num_attention_heads": 32,
            "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
            "num_experts_per_tok": 8, "vocab_size": 151936, "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        },
        30_532_122_624,
    ),
    "qwen3-next-80b": (QWEN3_NEXT, 79_674_391_296),
    "gemma-3-1b": (GEMMA_3_1B, 999_885_952),
    "gemma-2-9b": (
        {
            "model_type": "gemma2", "hidden_size": 3584, "intermediate_size": 14336,
            "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8,
            "head_dim": 256, "vocab_size": 256000, "sliding_window": 4096,
        },
        9_241_705_984,
    ),
    "phi-4": (
        {
            "model_type": "phi3", "hidden_size": 5120, "intermediate_size": 17920,
            "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 10,
            "vocab_size": 100352,
        },
        14_659_507_200,
    ),
    "mixtral-8x7b": (
        {
            "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000,
        },
        46_702_792_704,
    ),
    "deepseek-v2-lite": (
        {
            **DEEPSEEK_V3, "model_type": "deepseek_v2", "hidden_size": 2048,
            "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_hidden_layers": 27,
            "num_attention_heads": 16, "n_routed_experts": 64, "n_shared_experts": 2,
            "first_k_dense_replace": 1, "q_lora_rank": None, "vocab_size": 102400,
        },
        15_706_484_224,
    ),
    "deepseek-v3": (DEEPSEEK_V3, 671_026_419_200),
    "llama-4-maverick": (MAVERICK, 401_600_000_000),
    "minimax-m2": (
        {
            "model_type": "minimax_m2", "hidden_size": 3072, "intermediate_size": 1536,
            "num_hidden_layers": 62, "num_attention_heads": 48, "num_key_value_heads": 8,
            "head_dim": 128, "num_local_experts": 256, "num_experts_per_tok": 8,
            "vocab_size": 200064, "attn_type_list": [1] * 62,
        },
        228_703_644_928,
    ),
    "glm-4.5-air": (
        {
            "model_type": "glm4_moe", "hidden_size": 4096, "intermediate_size": 10944,
            "num_hidden_layers": 46, "num_attention_heads": 96, "num_key_value_heads": 8,
            "head_dim": 128, "n_routed_experts": 128, "n_shared_experts": 1,
            "num_experts_per_tok": 8, "moe_intermediate_size": 1408, "first_k_dense_replace": 1,
            "vocab_size": 151552,
        },
        106_852_251_264,
    ),
    "jamba": (
        {
            "model_type": "jamba", "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "num_experts": 16, "attn_layer_period": 8, "attn_layer_offset": 4,
            "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_state": 16,
            "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 256, "vocab_size": 65536,
        },
        51_570_323_328,
    ),
    "mamba-2.8b": (
        {
            "architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 2560,
            "intermediate_size": 5120, "num_hidden_layers": 64, "state_size": 16,
            "time_step_rank": 160, "conv_kernel": 4, "vocab_size": 50280,
            "tie_word_embeddings": True,
        },
        2_768_345_600,
    ),
    "nemotron-nano-9b": (
        {
            "model_type": "nemotron_h", "hidden_size": 4480, "intermediate_size": 15680,
            "hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
            "num_hidden_layers": 56, "num_attention_heads": 40, "num_key_value_heads": 8,
            "head_dim": 128, "mamba_num_heads": 128, "mamba_head_dim": 80, "n_groups": 8,
            "ssm_state_size": 128, "conv_kernel": 4, "vocab_size": 131072,
        },
        8_888_227_328,
    ),
    "falcon-7b": (
        {
            "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32,
            "num_attention_heads": 71, "multi_query": True, "vocab_size": 65024,
        },
        6_921_720_704,
    ),
    "gpt2": (
        {
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768,
            "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257,
        },
        124_439_808,
    ),
    "bert-base": (
        {
            "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 768,
            "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
            "max_position_embeddings": 512, "vocab_size": 30522,
        },
        109_482_240,
    ),
    "whisper-large-v3": (
        {
            "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
            "d_model": 1280, "encoder_layers": 32, "decoder_layers": 32, "num_hidden_layers": 32,
            "decoder_attention_heads": 20, "encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120,
            "vocab_size": 51866, "is_encoder_decoder": True, "max_target_positions": 448,
        },
        1_543_490_560,
    ),
}  # fmt: skip
